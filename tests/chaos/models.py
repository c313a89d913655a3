# SPDX-License-Identifier: Apache-2.0
"""What is asked: numbers of each type, strings, streams, slow calls, worker processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.workers import WorkerProcesses
from tests.helpers.server import Model

__all__ = ["DTYPES", "IN_PROCESSES", "SLOW", "expected", "models"]

DTYPES: Final = (np.float32, np.float64, np.int8, np.int32, np.uint16, np.bool_)
IN_PROCESSES: Final = "in_processes"
SLOW: Final = "slow"
_STEP_S: Final = 0.005
_STEPS: Final = 4
# One that is killed again and again is no crash loop here.
_WORKERS: Final = WorkerProcesses(
    count=2, max_restarts=1_000_000, restart_delay_s=0.01, max_restart_delay_s=0.01, stable_after_s=0.1
)


def expected(array: Any) -> Any:
    """What the models of numbers answer."""
    return np.logical_not(array) if array.dtype == np.bool_ else (0 - array).astype(array.dtype)


@batch
def negative(values: Any) -> list[Any]:
    """The numbers with the other sign."""
    return [expected(values)]


@batch
def reverse(texts: Any) -> list[Any]:
    """The strings from behind."""
    return [np.array([[text[::-1] for text in row] for row in texts], dtype=object)]


def count(requests: list[Any]) -> Iterator[list[Any]]:
    """A stream of numbers."""
    (request,) = requests
    start, steps = (int(number) for number in request["range"])
    for number in range(start, start + steps):
        yield [{"number": np.array([number], np.int64)}]


def slow(requests: list[Any]) -> list[Any]:
    """The numbers, after a while; sooner if nobody waits for them."""
    for _ in range(_STEPS):
        if all(request.is_cancelled() for request in requests):
            break
        time.sleep(_STEP_S)  # the work of the model
    return [{"same": request["values"]} for request in requests]


def models() -> list[Model]:
    """All of them."""
    config = ModelConfig(max_batch_size=16)
    floats = [Tensor((-1,), np.float32, "values")]
    numbers = [
        Model(
            f"negative_{np.dtype(dtype).name}",
            [negative, negative],
            [Tensor((-1,), dtype, "values")],
            [Tensor((-1,), dtype, "negative")],
            config,
        )
        for dtype in DTYPES
    ]
    strings = Model(
        "reverse", reverse, [Tensor((-1,), bytes, "texts")], [Tensor((-1,), bytes, "reversed")], config
    )
    stream = Model(
        "count",
        count,
        [Tensor((2,), np.int64, "range")],
        [Tensor((1,), np.int64, "number")],
        ModelConfig(batching=False, decoupled=True),
    )
    negatives = [Tensor((-1,), np.float32, "negative")]
    in_processes = Model(IN_PROCESSES, negative, floats, negatives, config, workers=_WORKERS)
    late = Model(SLOW, [slow, slow], floats, [Tensor((-1,), np.float32, "same")], config)
    return [*numbers, strings, stream, in_processes, late]
