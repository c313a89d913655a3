# SPDX-License-Identifier: Apache-2.0
"""Counters, gauges and histograms: a name, what it means, and perhaps labels."""

from __future__ import annotations

import abc
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Generic, TypeVar

from pytriton.exceptions import PyTritonValidationError
from pytriton.metrics import wire
from pytriton.metrics.registry import Definition, is_text, registry
from pytriton.metrics.series import CounterSeries, GaugeSeries, HistogramSeries, Series

__all__ = ["DEFAULT_BUCKETS", "Counter", "Gauge", "Histogram"]

DEFAULT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a histogram's buckets, good for seconds."""

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_RESERVED: Final = ("nv_", "pytriton_")

_S = TypeVar("_S", bound=Series)


class _Metric(abc.ABC, Generic[_S]):
    """Common to all kinds. Declaring one twice in the same way gives the same numbers."""

    _kind: ClassVar[int]

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        buckets: Sequence[float] = (),
        across: str = "sum",
    ) -> None:
        labels = (labelnames,) if isinstance(labelnames, str) else tuple(labelnames)
        definition = Definition(self._kind, name, labels, tuple(map(float, buckets)), across)
        _check(definition, documentation)
        family = registry.declare(definition, documentation)
        if family.definition != definition:
            raise PyTritonValidationError(
                f"Metric {name} is declared already in another way: {_words(family.definition)}; "
                f"now it would be {_words(definition)}."
            )
        self._family = family
        self._plain: _S | None = None
        if not labels:
            self._plain = self.labels()

    def labels(self, *values: object, **named: object) -> _S:
        """The number with these values of the labels, in their order or by name; converted to text."""
        names = self._family.definition.labels
        if named and not values and named.keys() == set(names):
            values = tuple(named[name] for name in names)
        elif named or len(values) != len(names):
            raise PyTritonValidationError(
                f"Metric {self._family.definition.name} has the labels {list(names)}: expected a value for "
                f"each, in this order or by name, got {[*values, *named]}."
            )
        return self._family.find(tuple(map(str, values)))  # type: ignore[return-value]

    def _only(self) -> _S:
        if self._plain is None:
            raise PyTritonValidationError(
                f"Metric {self._family.definition.name} has the labels "
                f"{list(self._family.definition.labels)}: say which values, with labels()."
            )
        return self._plain

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process it counts for that one.
        kind, name, labels, buckets, across = self._family.definition
        options = {wire.HISTOGRAM: (buckets,), wire.GAUGE: (across,)}.get(kind, ())
        return type(self), (name, self._family.help, labels, *options)


class Counter(_Metric[CounterSeries]):
    """Something that only grows, such as tokens or failures."""

    _kind = wire.COUNTER

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = ()) -> None:
        """Declare it.

        Args:
            name: Name on the metrics page, by custom with a unit and `_total` at its end.
            documentation: What it means, in a sentence.
            labelnames: Names of labels, whose values tell its numbers apart.
        """
        super().__init__(name, documentation, labelnames)

    def inc(self, amount: float = 1) -> None:
        """Add to the one without labels; the amount is not negative."""
        self._only().inc(amount)

    @property
    def value(self) -> float:
        """What this process has counted."""
        return self._only().value


class Gauge(_Metric[GaugeSeries]):
    """Something that goes up and down, such as the length of a queue."""

    _kind = wire.GAUGE

    def __init__(
        self, name: str, documentation: str, labelnames: Iterable[str] = (), across: str = "sum"
    ) -> None:
        """Declare it.

        Args:
            name: Name on the metrics page.
            documentation: What it means, in a sentence.
            labelnames: Names of labels, whose values tell its numbers apart.
            across: What the page shows of several processes: their "sum", "max", "min" or "mean". A process
                that has ended does not count any more.
        """
        super().__init__(name, documentation, labelnames, across=across)

    def set(self, value: float) -> None:
        """Say what the one without labels is."""
        self._only().set(value)

    def inc(self, amount: float = 1) -> None:
        """Add to the one without labels."""
        self._only().inc(amount)

    def dec(self, amount: float = 1) -> None:
        """Take from the one without labels."""
        self._only().dec(amount)

    def track_inprogress(self) -> AbstractContextManager[None]:
        """Count who is in the block."""
        return self._only().track_inprogress()

    @property
    def value(self) -> float:
        """What this process says."""
        return self._only().value


class Histogram(_Metric[HistogramSeries]):
    """How something is spread, such as lengths or times."""

    _kind = wire.HISTOGRAM

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        buckets: Sequence[float] = DEFAULT_BUCKETS,
    ) -> None:
        """Declare it.

        Args:
            name: Name on the metrics page, by custom with a unit at its end.
            documentation: What it means, in a sentence.
            labelnames: Names of labels, whose values tell its numbers apart.
            buckets: Upper bounds, ascending; what lies above the last one is counted too.
        """
        bounds = tuple(map(float, buckets))
        if bounds[-1:] == (math.inf,):
            bounds = bounds[:-1]
        super().__init__(name, documentation, labelnames, bounds)

    def observe(self, value: float) -> None:
        """Count a value under the one without labels."""
        self._only().observe(value)

    def time(self) -> AbstractContextManager[None]:
        """Observe how long the block takes, in seconds."""
        return self._only().time()


def _check(definition: Definition, documentation: str) -> None:
    name, labels, buckets = definition.name, definition.labels, definition.buckets
    if not _NAME.fullmatch(name) or len(name) > wire.MAX_METRIC_NAME:
        raise PyTritonValidationError(
            f"A metric's name has letters, digits, underscores and colons, at most {wire.MAX_METRIC_NAME}, "
            f"and does not begin with a digit; got {name!r}."
        )
    if name.startswith(_RESERVED):
        raise PyTritonValidationError(f"Metric {name}: names with {' or '.join(_RESERVED)} are the server's.")
    if not is_text(documentation, wire.MAX_METRIC_TEXT):
        raise PyTritonValidationError(
            f"Metric {name}: its documentation has more than {wire.MAX_METRIC_TEXT} bytes, or is no text."
        )
    unfit = [
        label for label in labels if not _LABEL.fullmatch(label) or label == "le" or labels.count(label) > 1
    ]
    if unfit or len(labels) > wire.MAX_LABELS:
        raise PyTritonValidationError(
            f"Metric {name}: expected at most {wire.MAX_LABELS} different labels of letters, digits and "
            f'underscores, none of them "le", got {list(labels)}.'
        )
    if definition.across not in wire.ACROSS:
        raise PyTritonValidationError(
            f"Metric {name}: across is one of {', '.join(wire.ACROSS)}, got {definition.across!r}."
        )
    sound = all(map(math.isfinite, buckets)) and all(low < high for low, high in itertools.pairwise(buckets))
    if definition.kind == wire.HISTOGRAM and (not buckets or len(buckets) > wire.MAX_BUCKETS or not sound):
        raise PyTritonValidationError(
            f"Metric {name}: expected 1 to {wire.MAX_BUCKETS} ascending bounds of buckets, got {buckets}."
        )


def _words(definition: Definition) -> str:
    kind = {wire.COUNTER: "a counter", wire.GAUGE: "a gauge", wire.HISTOGRAM: "a histogram"}[definition.kind]
    words = f"{kind} with the labels {list(definition.labels)}"
    if definition.buckets:
        words += f" and the buckets {definition.buckets}"
    return words if definition.kind != wire.GAUGE else f'{words}, across="{definition.across}"'
