# SPDX-License-Identifier: Apache-2.0
"""The functions that `python -m benchmarks.streams` asks: HTTP_PORT GRPC_PORT METRICS_PORT."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.loopback import loopback_config
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

__all__: list[str] = []


def count(requests: list[Any]) -> Iterator[list[Any]]:
    """As many numbers as are asked for, a response each."""
    (steps,) = requests[0]["x"]
    for number in range(int(steps)):
        yield [{"y": np.array([number], np.float32)}]


@batch
def echo(x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The input."""
    return [x]


def _main() -> None:
    config = loopback_config(sys.argv[1:])
    given, returned = [Tensor((1,), np.float32, "x")], [Tensor((1,), np.float32, "y")]
    with Triton(config=config) as triton:
        triton.bind("count", count, given, returned, config=ModelConfig(batching=False, decoupled=True))
        triton.bind("echo", echo, given, returned, config=ModelConfig(max_batch_size=8))
        triton.run()
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
