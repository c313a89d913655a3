# SPDX-License-Identifier: Apache-2.0
"""What is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LOADS", "Load", "Measured"]

STRING_LENGTH = 16


@dataclass(frozen=True)
class Load:
    """Identical requests from a number of clients that each wait for the answer."""

    name: str
    title: str
    generator: Literal["wrk", "perf_analyzer"]
    model: str
    concurrency: int
    elements: int  # of the one input and the one output
    element_bytes: int  # BYTES: with the four bytes of the length prefix
    shared_memory: bool = False

    @property
    def tensor_bytes(self) -> int:
        """The bytes of one request's input, and of its output too."""
        return self.elements * self.element_bytes


@dataclass(frozen=True)
class Measured:
    """What a load generator found."""

    requests: int
    rate: float
    p50_us: float
    p99_us: float
    mean_us: float
    failed: int


def _loads() -> tuple[Load, ...]:
    small = [
        *(
            Load(f"http-4-c{c}", f"HTTP JSON, 4 floats, c={c}", "wrk", "identity", c, 4, 4)
            for c in (1, 8, 32, 128)
        ),
        *(
            Load(f"grpc-4-c{c}", f"gRPC, 4 floats, c={c}", "perf_analyzer", "identity", c, 4, 4)
            for c in (1, 8, 32, 128)
        ),
    ]
    large = [
        *(
            Load(f"grpc-600kB-c{c}", f"gRPC, 600 kB, c={c}", "perf_analyzer", "identity", c, 150_000, 4)
            for c in (1, 8)
        ),
        Load(
            "shm-600kB-c16",
            "gRPC, 600 kB in system shared memory, c=16",
            "perf_analyzer",
            "identity",
            16,
            150_000,
            4,
            True,
        ),
    ]
    strings = [
        Load(
            f"grpc-strings-c{c}",
            f"gRPC, 10,000 strings, c={c}",
            "perf_analyzer",
            "strings",
            c,
            10_000,
            4 + STRING_LENGTH,
        )
        for c in (1, 8)
    ]
    return (*small, *large, *strings)


LOADS = _loads()
