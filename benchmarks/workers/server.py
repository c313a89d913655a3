# SPDX-License-Identifier: Apache-2.0
"""The functions that `python -m benchmarks.workers` asks: HTTP_PORT GRPC_PORT METRICS_PORT."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.loopback import loopback_config
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton
from pytriton.workers import WorkerProcesses

__all__ = ["BUSY_S"]

BUSY_S: Final = 0.01


@batch
def echo(x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The input."""
    return [x]


@batch
def busy(x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The input, after a time in which no other Python code of the process runs."""
    end = time.perf_counter() + BUSY_S
    while time.perf_counter() < end:
        pass
    return [x]


def _main() -> None:
    config = loopback_config(sys.argv[1:])
    tensor = Tensor(name="x", dtype=np.float32, shape=(4,))
    out = Tensor(name="y", dtype=np.float32, shape=(4,))
    with Triton(config=config) as triton:

        def bind(name: str, function: Any, rows: int, workers: WorkerProcesses | None) -> None:
            model = ModelConfig(max_batch_size=rows)
            triton.bind(name, function, [tensor], [out], config=model, workers=workers)

        bind("echo-thread", echo, 128, None)
        bind("busy-threads", [busy, busy], 1, None)
        for count in (1, 2):
            bind(f"echo-{count}", echo, 128, WorkerProcesses(count))
            bind(f"busy-{count}", busy, 1, WorkerProcesses(count))
        triton.run()
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
