# SPDX-License-Identifier: Apache-2.0
"""What is counted under one name and one set of labels, in this process."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pytriton.metrics import wire

__all__ = ["CounterSeries", "GaugeSeries", "HistogramSeries", "Series"]


class Series:
    """Values that change from any thread, and what they have changed by since a place was told."""

    is_state = False
    """Whether a server that has just come has to hear of it as a whole."""

    def __init__(self, notice: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._notice = notice

    def snapshot(self) -> Any:
        """What there is to know now."""
        raise NotImplementedError

    def records(self, number: int, before: Any, now: Any) -> Iterator[tuple[bytes, int]]:
        """Records that lead from one snapshot, or from nothing, to another; with observations in each."""
        raise NotImplementedError


class _NumberSeries(Series):
    """A number."""

    def __init__(self, notice: Callable[[], None]) -> None:
        super().__init__(notice)
        self._value = 0.0

    @property
    def value(self) -> float:
        """What this process says."""
        return self._value

    def snapshot(self) -> float:
        """The value."""
        return self._value

    def _add(self, amount: float) -> None:
        with self._lock:
            self._value += amount
        self._notice()


class CounterSeries(_NumberSeries):
    """A number that only grows."""

    def inc(self, amount: float = 1) -> None:
        """Add to it; the amount is not negative."""
        if not 0 <= amount < math.inf:
            raise ValueError(f"A counter only grows: expected a finite amount from 0 on, got {amount!r}.")
        self._add(amount)

    def records(self, number: int, before: float | None, now: float) -> Iterator[tuple[bytes, int]]:
        """The difference."""
        if change := now - (before or 0.0):
            yield wire.add(number, change), 0


class GaugeSeries(_NumberSeries):
    """A number that goes up and down."""

    is_state = True

    def set(self, value: float) -> None:
        """Say what it is."""
        number = float(value)
        with self._lock:
            self._value = number
        self._notice()

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        self._add(amount)

    def dec(self, amount: float = 1) -> None:
        """Take from it."""
        self.inc(-amount)

    @contextmanager
    def track_inprogress(self) -> Iterator[None]:
        """Count who is in the block."""
        self.inc()
        try:
            yield
        finally:
            self.dec()

    def records(self, number: int, before: float | None, now: float) -> Iterator[tuple[bytes, int]]:
        """The value, if it is another one."""
        if before is None or now != before:
            yield wire.set_to(number, now), 0


class HistogramSeries(Series):
    """How many observations lie below each of some bounds, and their sum."""

    def __init__(self, notice: Callable[[], None], bounds: Sequence[float]) -> None:
        super().__init__(notice)
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sums = [0.0] * (len(bounds) + 1)

    @property
    def count(self) -> int:
        """How often this process has observed something."""
        return sum(self._counts)

    @property
    def sum(self) -> float:
        """Sum of what this process has observed."""
        return sum(self._sums)

    def observe(self, value: float) -> None:
        """Count a value."""
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"A histogram observes finite numbers, got {value!r}.")
        index = bisect_left(self._bounds, number)
        with self._lock:
            self._counts[index] += 1
            self._sums[index] += number
        self._notice()

    @contextmanager
    def time(self) -> Iterator[None]:
        """Observe how long the block takes, in seconds."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - begin)

    def snapshot(self) -> tuple[list[int], list[float]]:
        """Count and sum of each bucket."""
        with self._lock:
            return list(self._counts), list(self._sums)

    def records(
        self, number: int, before: Any | None, now: tuple[list[int], list[float]]
    ) -> Iterator[tuple[bytes, int]]:
        """Each bucket's mean, as often as it has new observations: count, bucket and sum come out right."""
        counts, sums = before or ([0] * len(now[0]), [0.0] * len(now[1]))
        for index, (count, total) in enumerate(zip(*now, strict=True)):
            times = count - counts[index]
            mean = self._within(index, (total - sums[index]) / times) if times else 0.0
            while times > 0:
                part = min(times, wire.MAX_OBSERVATIONS)
                yield wire.observe(number, mean, part), part
                times -= part

    def _within(self, index: int, mean: float) -> float:
        # Rounding may have carried it over a bound.
        if index > 0:
            mean = max(mean, math.nextafter(self._bounds[index - 1], math.inf))
        return min(mean, self._bounds[index]) if index < len(self._bounds) else mean
