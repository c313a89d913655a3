# SPDX-License-Identifier: Apache-2.0
"""A benchmark: what is asked, at which levels, and what came of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pytriton.bench.early import AllFailedError
from pytriton.bench.fleet import run_load, split
from pytriton.bench.outcome import Outcome, outcome_of
from pytriton.bench.plan import Plan
from pytriton.client.exceptions import PyTritonClientError
from pytriton.monitor.server import Server
from pytriton.monitor.statistics import Totals

__all__ = ["Benchmark", "Level", "Step"]


@dataclass(frozen=True)
class Level:
    """One load of a sweep: so many requests in flight, or so many a second."""

    concurrency: int
    rate: float = 0.0

    def __str__(self) -> str:
        return f"{self.rate:g} requests/s" if self.rate else f"{self.concurrency} in flight"


@dataclass(frozen=True)
class Step:
    """What came of a level, in the eyes of the client and of the server."""

    level: Level
    outcome: Outcome
    server: Totals | None
    """What the server has counted meanwhile, warm-up included; None if it does not tell."""

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        document = self.outcome.as_dict()
        if self.server is not None:
            document["server"] = {
                "requests": self.server.requests,
                "mean_batch": self.server.mean_batch,
                "queue_ms": self.server.queue_ms,
                "compute_ms": self.server.compute_ms,
            }
        return document


@dataclass
class Benchmark:
    """Asks one model of one server at several levels.

    Args:
        plan: The load; concurrency and rate are those of each level.
        levels: The levels.
        processes: Processes of the load generator, as many as there are requests in flight at most.
        batch_size: Rows of a request.
        server: Tells its statistics.
        model: Name of the model.
    """

    plan: Plan
    levels: list[Level]
    processes: Callable[[int], int]
    batch_size: int
    server: Server
    model: str
    notes: list[str] = field(default_factory=list)

    @property
    def seconds_of_level(self) -> float:
        """How long a level takes."""
        return self.plan.warmup_s + self.plan.duration_s

    def run(self, progress: Callable[[int, float], object]) -> Iterator[Step]:
        """Run the levels, one after the other; AllFailedError at one where nothing but errors comes.

        Args:
            progress: Called with the number of the level and the seconds of it that have passed.
        """
        for position, level in enumerate(self.levels):
            plan = dataclasses.replace(self.plan, concurrency=level.concurrency, rate=level.rate)
            before = self._totals()
            try:
                seen = run_load(
                    split(plan, self.processes(level.concurrency)),
                    lambda seconds, position=position: progress(position, seconds),  # type: ignore[misc]
                )
            except AllFailedError as error:
                raise AllFailedError(f"{level}: {error}") from None
            after = self._totals()
            outcome = outcome_of(
                seen, concurrency=level.concurrency, offered=level.rate, batch_size=self.batch_size
            )
            yield Step(level, outcome, after.since(before) if after and before else None)

    def _totals(self) -> Totals | None:
        if self.notes:  # it does not tell, and has said so
            return None
        try:
            found = [Totals.of(entry) for entry in self.server.statistics(self.model)]
        except PyTritonClientError as error:
            self.notes.append(f"Without what the server has counted: {error}")
            return None
        return found[-1] if found else None
