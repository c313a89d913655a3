# SPDX-License-Identifier: Apache-2.0
"""What came of a load: rate, latencies, errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from pytriton.bench.plan import NS_PER_S, Seen

__all__ = ["PERCENTILES", "Outcome", "outcome_of"]

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9)
_NS_PER_MS: Final = 1e6
_BUSY: Final = 0.8
_SLICES: Final = 20


@dataclass(frozen=True)
class Outcome:
    """What came of a load; latencies are milliseconds."""

    concurrency: int
    """Requests in flight of a closed loop; the most of them in an open one."""
    offered: float
    """Requests a second that an open loop meant to send; 0 for a closed one."""
    seconds: float
    requests: int
    """Answered within the time that counts, without those that failed."""
    failures: int
    rate: float
    """Answers a second."""
    rows: float
    """Rows a second, for requests of several."""
    mean_ms: float | None
    least_ms: float | None
    most_ms: float | None
    deviation_ms: float | None
    percentiles_ms: dict[str, float]
    """By name, such as p99.9."""
    slices: list[float]
    """Answers a second in each twentieth of the time."""
    errors: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def outcome_of(seen: Sequence[Seen], *, concurrency: int, offered: float, batch_size: int) -> Outcome:
    """Put together what the processes of a load have seen.

    Args:
        seen: One for each process; all count the same span of time.
        concurrency: Of the whole load.
        offered: Of the whole load.
        batch_size: Rows of a request.
    """
    start, end = seen[0].starts_at, seen[0].ends_at
    seconds = (end - start) / NS_PER_S
    ends = np.concatenate([np.frombuffer(each.ends, np.int64) for each in seen])
    latencies = np.concatenate([np.frombuffer(each.latencies, np.int64) for each in seen])
    counted = (ends >= start) & (ends < end)
    ends, latencies = ends[counted], latencies[counted] / _NS_PER_MS
    errors = Seen()
    for each in seen:
        errors.add_errors(each.errors)
    has_any = bool(len(latencies))
    slices, _ = np.histogram(ends, _SLICES, (start, end))
    return Outcome(
        concurrency=concurrency,
        offered=offered,
        seconds=seconds,
        requests=len(ends),
        failures=sum(each.failures for each in seen),
        rate=len(ends) / seconds,
        rows=len(ends) * batch_size / seconds,
        mean_ms=float(latencies.mean()) if has_any else None,
        least_ms=float(latencies.min()) if has_any else None,
        most_ms=float(latencies.max()) if has_any else None,
        deviation_ms=float(latencies.std()) if has_any else None,
        percentiles_ms={
            f"p{percentile:g}": float(value)
            for percentile, value in zip(PERCENTILES, np.percentile(latencies, PERCENTILES), strict=True)
        }
        if has_any
        else {},
        slices=[float(count) * _SLICES / seconds for count in slices],
        errors=errors.errors,
        notes=_notes(seen),
    )


def _notes(seen: Sequence[Seen]) -> list[str]:
    notes = []
    busiest = max(each.busy for each in seen)
    if busiest > _BUSY:
        notes.append(
            f"The load generator itself was busy for {busiest:.0%} of the time, so that it may have limited "
            "the rate; more --processes help where there are cores for them."
        )
    if unsent := sum(each.unsent for each in seen):
        notes.append(
            f"The server did not keep up: {unsent} requests were due and could not be sent until the end; "
            "they are in no latency."
        )
    return notes
