# SPDX-License-Identifier: Apache-2.0
"""What worker processes count and log in tests: they import it from here."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from pytriton.decorators import batch
from pytriton.metrics import Counter, Gauge, Histogram

__all__ = ["count_and_say"]

Array = npt.NDArray[Any]

CALLS = Counter("of_worker_processes_calls_total", "Calls", ["whose"])
LEVEL = Gauge("of_worker_processes_level", "The level", across="max")
ROWS = Histogram("of_worker_processes_rows", "Rows", buckets=[1, 2, 4])


@batch
def count_and_say(x: Array) -> dict[str, Array]:
    """Answer with the process, which has counted the call; die if it is told to."""
    print(f"printed by {os.getpid()}")
    CALLS.labels("all").inc()
    ROWS.observe(len(x))
    LEVEL.set(float(x.max()))
    logging.getLogger("tests.observed").info("called with %d", len(x), extra={"rows": len(x)})
    if x.max() < 0:
        raise ZeroDivisionError("as it was told")
    return {"pid": np.full((len(x), 1), os.getpid(), np.int64)}
