# SPDX-License-Identifier: Apache-2.0
"""All that is counted in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from pytriton.exceptions import PyTritonValidationError
from pytriton.metrics import wire
from pytriton.metrics.series import CounterSeries, GaugeSeries, HistogramSeries, Series

__all__ = ["Definition", "Family", "Registry", "is_text", "registry"]

LOGGER = logging.getLogger(__name__)

_MOST_SERIES: Final = 10_000


class Definition(NamedTuple):
    """What a family is; two declarations of a name must agree in it."""

    kind: int
    name: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    across: str


class Family:
    """All series of a name."""

    def __init__(self, definition: Definition, help_text: str, notice: Callable[[], None]) -> None:
        self.definition = definition
        self.help = help_text
        self._series: dict[tuple[str, ...], Series] = {}
        self._notice = notice
        self._lock = threading.Lock()
        self._complained = False

    def series(self) -> list[tuple[tuple[str, ...], Series]]:
        """Every series, and the values of its labels."""
        with self._lock:
            return list(self._series.items())

    def find(self, values: tuple[str, ...]) -> Series:
        """The series with these values of the labels; a new one if need be."""
        found = self._series.get(values)
        return self._add(values) if found is None else found

    def _add(self, values: tuple[str, ...]) -> Series:
        for value in values:
            if not is_text(value, wire.MAX_METRIC_TEXT):
                raise PyTritonValidationError(
                    f"A label of metric {self.definition.name} has a value that cannot be shown: expected at "
                    f"most {wire.MAX_METRIC_TEXT} bytes of text, got {value[:100]!r}."
                )
        series = self._make()
        with self._lock:
            if len(self._series) < _MOST_SERIES:
                series = self._series.setdefault(values, series)
            elif not self._complained:
                self._complained = True
                LOGGER.warning(
                    "metric %s: its labels have %d different values, new ones are not shown: a label is for "
                    "what has few of them.",
                    self.definition.name,
                    _MOST_SERIES,
                )
        self._notice()
        return series

    def _make(self) -> Series:
        if self.definition.kind == wire.HISTOGRAM:
            return HistogramSeries(self._notice, self.definition.buckets)
        kind = CounterSeries if self.definition.kind == wire.COUNTER else GaugeSeries
        return kind(self._notice)


class Registry:
    """Families by name, and whether anything has changed since somebody looked."""

    def __init__(self) -> None:
        self.changed = False
        self.wake: Callable[[], None] = lambda: None
        """Called at the first change after `changed` was taken back."""
        self._lock = threading.Lock()
        self._families: dict[str, Family] = {}

    def declare(self, definition: Definition, help_text: str) -> Family:
        """The family of this name, which may be one that was declared before, and in another way."""
        family = Family(definition, help_text, self.notice)
        with self._lock:
            family = self._families.setdefault(definition.name, family)
        self.notice()
        return family

    def families(self) -> list[Family]:
        """All of them, in the order in which they were declared."""
        with self._lock:
            return list(self._families.values())

    def notice(self) -> None:
        """Something has changed."""
        if not self.changed:
            self.changed = True
            self.wake()


def is_text(text: str, most: int) -> bool:
    """Whether a text can be shown: it has no surrogates, no zeros, and not more bytes than that."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= most and "\0" not in text


registry: Final = Registry()
