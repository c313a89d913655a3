# SPDX-License-Identifier: Apache-2.0
"""Medians and spreads; ratios are formed within a round, where both sides saw the same machine."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Spread", "difference_per_round", "ratio_per_round", "spread"]


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of a few measurements."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of `values`, or None where there are none."""
    known = list(values)
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known), len(known))


def ratio_per_round(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """Return the spread of ours / theirs over the rounds that have both."""
    return spread(ours[r] / theirs[r] for r in sorted(ours.keys() & theirs.keys()) if theirs[r])


def difference_per_round(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """Return the spread of ours - theirs over the rounds that have both."""
    return spread(ours[r] - theirs[r] for r in sorted(ours.keys() & theirs.keys()))
