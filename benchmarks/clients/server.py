# SPDX-License-Identifier: Apache-2.0
"""The server that all clients ask: models that return their input."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np

from benchmarks.clients.contestants import TEN_MB
from benchmarks.loopback import loopback_config
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonSecurityConfig

__all__: list[str] = []

_MODELS: Final = (("echo", np.float32, -1), ("strings", bytes, -1), ("ten", np.float32, TEN_MB))


@batch
def echo(x: Any) -> dict[str, Any]:
    """Return the input."""
    return {"y": x}


def _main() -> None:
    security = TritonSecurityConfig(restricted_endpoints=[])  # shared memory has no token here
    config = loopback_config(sys.argv[1:])
    with Triton(config=config, security_config=security) as triton:
        for name, dtype, size in _MODELS:
            given, returned = ([Tensor((size,), dtype, tensor)] for tensor in "xy")
            triton.bind(name, echo, given, returned, config=ModelConfig(max_batch_size=128))
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
