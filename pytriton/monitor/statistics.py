# SPDX-License-Identifier: Apache-2.0
"""Triton's statistics of a model: totals since it was loaded, and what has come between two looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Totals"]

_NS_PER_MS = 1e6


@dataclass(frozen=True)
class Totals:
    """Counts and nanoseconds of one version of a model."""

    requests: int = 0
    """Answered without an error."""
    failures: int = 0
    rows: int = 0
    """Inferences: a batch of 8 counts 8."""
    batches: int = 0
    """Executions."""
    request_ns: int = 0
    queue_ns: int = 0
    input_ns: int = 0
    compute_ns: int = 0
    output_ns: int = 0
    timed: int = 0
    """Requests that the times of queue and computing are of."""
    cache_hits: int = 0
    cache_misses: int = 0

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Totals:
        """Read an entry of /v2/models/stats; what it does not have counts as nothing."""
        times = entry.get("inference_stats") or {}

        def of(name: str, key: str) -> int:
            return int((times.get(name) or {}).get(key) or 0)

        return cls(
            requests=of("success", "count"),
            failures=of("fail", "count"),
            rows=int(entry.get("inference_count") or 0),
            batches=int(entry.get("execution_count") or 0),
            request_ns=of("success", "ns"),
            queue_ns=of("queue", "ns"),
            input_ns=of("compute_input", "ns"),
            compute_ns=of("compute_infer", "ns"),
            output_ns=of("compute_output", "ns"),
            timed=of("compute_infer", "count"),
            cache_hits=of("cache_hit", "count"),
            cache_misses=of("cache_miss", "count"),
        )

    def since(self, before: Totals) -> Totals:
        """What has come since; a model that was loaded anew meanwhile begins at nothing."""
        changes = {
            item.name: getattr(self, item.name) - getattr(before, item.name) for item in fields(Totals)
        }
        return self if any(change < 0 for change in changes.values()) else Totals(**changes)

    @property
    def mean_batch(self) -> float | None:
        """Rows of a batch."""
        return self.rows / self.batches if self.batches else None

    @property
    def queue_ms(self) -> float | None:
        """Milliseconds that a request waits."""
        return self._mean_ms(self.queue_ns, self.timed)

    @property
    def compute_ms(self) -> float | None:
        """Milliseconds that the function takes for a request."""
        return self._mean_ms(self.compute_ns, self.timed)

    @property
    def copy_ms(self) -> float | None:
        """Milliseconds for a request's inputs and outputs."""
        return self._mean_ms(self.input_ns + self.output_ns, self.timed)

    @property
    def request_ms(self) -> float | None:
        """Milliseconds from a request to its answer, in the server."""
        return self._mean_ms(self.request_ns, self.requests)

    @staticmethod
    def _mean_ms(nanoseconds: int, count: int) -> float | None:
        return nanoseconds / count / _NS_PER_MS if count else None
