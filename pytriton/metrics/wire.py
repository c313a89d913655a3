# SPDX-License-Identifier: Apache-2.0
"""Mirror of native/include/pytriton/metric_layout.h, which says what the records mean, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

__all__ = [
    "ACROSS",
    "COUNTER",
    "GAUGE",
    "HISTOGRAM",
    "MAX_BUCKETS",
    "MAX_LABELS",
    "MAX_METRICS_PACKET",
    "MAX_METRIC_NAME",
    "MAX_METRIC_TEXT",
    "MAX_OBSERVATIONS",
    "METRICS_MAGIC",
    "add",
    "family",
    "hello",
    "observe",
    "series",
    "set_to",
]

METRICS_MAGIC: Final = 0x314D4E4F54525450
MAX_METRICS_PACKET: Final = 64 * 1024
MAX_OBSERVATIONS: Final = 1 << 20
MAX_METRIC_NAME: Final = 200
MAX_METRIC_TEXT: Final = 1000
MAX_LABELS: Final = 16
MAX_BUCKETS: Final = 100

COUNTER: Final = 0
GAUGE: Final = 1
HISTOGRAM: Final = 2

ACROSS: Final = {"sum": 0, "max": 1, "min": 2, "mean": 3}

_FAMILY: Final = 1
_SERIES: Final = 2
_ADD: Final = 3
_SET: Final = 4
_OBSERVE: Final = 5

_HELLO: Final = Struct("=QQ")
_FAMILY_HEAD: Final = Struct("=BBB")
_SERIES_HEAD: Final = Struct("=BI")
_VALUE: Final = Struct("=BId")
_OBSERVATION: Final = Struct("=BIdI")
_LENGTH: Final = Struct("=H")


def hello(process: int) -> bytes:
    """The first packet."""
    return _HELLO.pack(METRICS_MAGIC, process)


def family(
    kind: int, across: str, name: str, help_text: str, labels: Sequence[str], buckets: Sequence[float]
) -> bytes:
    """Declare what the next family id means."""
    return b"".join(
        [
            _FAMILY_HEAD.pack(_FAMILY, kind, ACROSS[across]),
            _text(name),
            _text(help_text),
            bytes([len(labels)]),
            *map(_text, labels),
            bytes([len(buckets)]),
            Struct(f"={len(buckets)}d").pack(*buckets),
        ]
    )


def series(family_id: int, values: Sequence[str]) -> bytes:
    """Declare what the next series id means."""
    return _SERIES_HEAD.pack(_SERIES, family_id) + b"".join(map(_text, values))


def add(series_id: int, change: float) -> bytes:
    """Add to a counter."""
    return _VALUE.pack(_ADD, series_id, change)


def set_to(series_id: int, value: float) -> bytes:
    """Say what a gauge is."""
    return _VALUE.pack(_SET, series_id, value)


def observe(series_id: int, value: float, times: int) -> bytes:
    """Observe a value so many times."""
    return _OBSERVATION.pack(_OBSERVE, series_id, value, times)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _LENGTH.pack(len(encoded)) + encoded
