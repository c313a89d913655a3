# SPDX-License-Identifier: Apache-2.0
"""When the requests of an open loop are due."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pytriton.bench.plan import NS_PER_S

__all__ = ["due_times"]


def due_times(rate: float, poisson: bool, start_ns: int) -> Iterator[int]:
    """Times in nanoseconds from the start on, without end.

    Args:
        rate: Requests a second.
        poisson: Whether they come at random; evenly otherwise, from a random offset on.
        start_ns: The start.
    """
    step = NS_PER_S / rate
    due = start_ns + random.random() * step
    while True:
        yield int(due)
        due += random.expovariate(1.0) * step if poisson else step
