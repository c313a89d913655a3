# SPDX-License-Identifier: Apache-2.0
"""The server that all clients ask: two models that return their input."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

__all__: list[str] = []


@batch
def echo(x: Any) -> dict[str, Any]:
    """Return the input."""
    return {"y": x}


def _main() -> None:
    http, grpc, metrics = map(int, sys.argv[1:])
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=http,
        grpc_address="127.0.0.1",
        grpc_port=grpc,
        metrics_address="127.0.0.1",
        metrics_port=metrics,
    )
    with Triton(config=config) as triton:
        for name, dtype in (("echo", np.float32), ("strings", bytes)):
            given, returned = ([Tensor((-1,), dtype, tensor)] for tensor in "xy")
            triton.bind(name, echo, given, returned, config=ModelConfig(max_batch_size=128))
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
