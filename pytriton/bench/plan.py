# SPDX-License-Identifier: Apache-2.0
"""What a load generator does, and what it has seen: both travel between processes."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["KEPT_ERRORS", "METHOD", "NS_PER_S", "Plan", "Seen"]

NS_PER_S: Final = 1_000_000_000
KEPT_ERRORS: Final = 8
METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
"""What is called over gRPC."""


@dataclass(frozen=True)
class Plan:
    """The load of one process: identical requests, closed loop or open.

    Args:
        protocol: http or grpc.
        target: host:port.
        encrypted: Whether gRPC uses TLS.
        message: The whole HTTP request, or the gRPC message.
        metadata: Metadata of gRPC calls.
        concurrency: Requests in flight; in an open loop the most of them.
        rate: Requests a second in an open loop; 0 is a closed one, which sends when it has got an answer.
        poisson: Whether an open loop's requests come at random, not evenly.
        warmup_s: Seconds of load before anything counts.
        duration_s: Seconds that count.
        timeout_s: Seconds that a request may take.
    """

    protocol: str
    target: str
    encrypted: bool
    message: bytes
    metadata: tuple[tuple[str, str], ...]
    concurrency: int
    rate: float
    poisson: bool
    warmup_s: float
    duration_s: float
    timeout_s: float


@dataclass
class Seen:
    """What one process has seen; times are of time.monotonic_ns()."""

    ends: array[int] = field(default_factory=lambda: array("q"))
    """When answers came, those of failed requests apart."""
    latencies: array[int] = field(default_factory=lambda: array("q"))
    """Nanoseconds from when each was due to be sent to its answer."""
    failures: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """How often the first few messages were seen."""
    unsent: int = 0
    """Requests of an open loop that were due and found no connection until the end."""
    busy: float = 0.0
    """Share of the time that the process's thread was computing."""
    starts_at: int = 0
    ends_at: int = 0

    def begin(self, plan: Plan, start_ns: int) -> None:
        """Wait for the start of a load, and note which time of it counts."""
        while (left := start_ns - time.monotonic_ns()) > 0:
            time.sleep(left / NS_PER_S)
        self.starts_at = start_ns + int(plan.warmup_s * NS_PER_S)
        self.ends_at = self.starts_at + int(plan.duration_s * NS_PER_S)

    def fail(self, message: str) -> None:
        """Count a failed request."""
        # First its message: whoever looks from another thread finds one for the first failure, too.
        if message in self.errors or len(self.errors) < KEPT_ERRORS:
            self.errors[message] = self.errors.get(message, 0) + 1
        self.failures += 1

    def add_errors(self, errors: Mapping[str, int]) -> None:
        """Take over what another process has counted."""
        for message, count in errors.items():
            if message in self.errors or len(self.errors) < KEPT_ERRORS:
                self.errors[message] = self.errors.get(message, 0) + count
