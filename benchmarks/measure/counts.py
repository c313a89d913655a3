# SPDX-License-Identifier: Apache-2.0
"""What the server and the app count by themselves: requests, batches, copied bytes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import json_http
from benchmarks.running import Running

__all__ = ["Counts"]


@dataclass(frozen=True)
class Counts:
    """Totals since a model was loaded; the difference of two belongs to what ran between them."""

    requests: int = 0
    batches: int = 0
    copied_in: int = 0
    copied_out: int = 0

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(
            self.requests - earlier.requests,
            self.batches - earlier.batches,
            self.copied_in - earlier.copied_in,
            self.copied_out - earlier.copied_out,
        )

    @classmethod
    def read(cls, running: Running, model: str) -> Counts | None:
        """Ask a v2 server for the totals of one model."""
        if not running.subject.speaks_v2:
            return None
        (stats,) = json_http.get_json(running.endpoints.http, f"/v2/models/{model}/stats")["model_stats"]
        copied_in, copied_out = running.copied_bytes(model) if running.subject.counts_copies else (0, 0)
        return cls(int(stats["inference_count"]), int(stats["execution_count"]), copied_in, copied_out)
