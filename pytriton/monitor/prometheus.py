# SPDX-License-Identifier: Apache-2.0
"""Metrics in Prometheus' text format."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pytriton.client.exceptions import PyTritonClientConnectionError, PyTritonClientProtocolError

__all__ = ["Metric", "Metrics", "fetch", "parse"]

_LINE: Final = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*"
)
_LABEL: Final = re.compile(r'(?P<name>[a-zA-Z_]\w*)="(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPE: Final = re.compile(r"\\(.)")
_LARGEST: Final = 64 << 20


class Metric(NamedTuple):
    """One line."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Metrics:
    """What an endpoint has said."""

    lines: tuple[Metric, ...]

    def total(self, name: str, **labels: str) -> float | None:
        """Sum of a metric over those lines that have the labels; None if there is none."""
        values = [line.value for line in self._lines(name, labels)]
        return sum(values) if values else None

    def values(self, name: str, label: str) -> dict[str, float]:
        """A metric by the value of a label, such as the GPU."""
        return {line.labels.get(label, ""): line.value for line in self._lines(name, {})}

    def models(self) -> list[tuple[str, str]]:
        """Name and version of the models that any metric is of."""
        found = {
            (line.labels["model"], line.labels.get("version", "")): None
            for line in self.lines
            if "model" in line.labels
        }
        return list(found)

    def _lines(self, name: str, labels: Mapping[str, str]) -> Iterator[Metric]:
        return (
            line
            for line in self.lines
            if line.name == name and all(line.labels.get(key) == value for key, value in labels.items())
        )


def parse(text: str) -> Metrics:
    """Read the text; what is no metric is passed over."""
    lines = []
    for line in text.splitlines():
        match = None if line.startswith("#") else _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        labels = {
            found["name"]: _unescaped(found["value"]) for found in _LABEL.finditer(match["labels"] or "")
        }
        lines.append(Metric(match["name"], labels, value))
    return Metrics(tuple(lines))


def fetch(url: str, timeout_s: float) -> Metrics:
    """Ask an endpoint.

    Args:
        url: Such as http://localhost:8002/metrics.
        timeout_s: Seconds that it may take.
    """
    if not url.startswith(("http://", "https://")):
        raise PyTritonClientProtocolError(
            f"The metrics at {url!r} cannot be read: expected http:// or https://."
        )
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return parse(answer.read(_LARGEST).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        raise PyTritonClientProtocolError(f"{url} gives no metrics: HTTP status {error.code}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        said = getattr(reason, "strerror", None) or reason
        raise PyTritonClientConnectionError(f"{url} gives no metrics: {said}.") from None


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], value)
