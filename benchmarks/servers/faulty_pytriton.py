# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="import-not-found, import-untyped"
"""The application that faults are given to, the same in 0.7.0 and in this package but for its workers.

Arguments: the HTTP, gRPC and metrics ports.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import Any

import numpy as np
from note import note

import pytriton.triton
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

_STEP_S = 0.05
_HAS_PROCESSES = importlib.util.find_spec("pytriton.workers") is not None


class Identity:
    """Returns its input, after a moment: so that a process that dies is in the middle of something."""

    def __init__(self) -> None:
        note("worker", os.getpid())

    def __call__(self, requests: Any) -> Any:
        """Answer one batch."""
        time.sleep(_STEP_S)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


def faulty(requests: Any) -> Any:
    """The number of requests in the batch; -1 raises, -2 is an error of its request alone."""
    values = [float(request["INPUT_1"][0, 0]) for request in requests]
    if -1.0 in values:
        raise ValueError("what the function says")
    size = np.full((1, 4), len(requests), np.float32)
    return [ValueError("what the function says") if value == -2.0 else {"OUTPUT_1": size} for value in values]


def slow(requests: Any) -> Any:
    """The input, after as many seconds as it says, unless nobody wants it any more."""
    (request,) = requests
    # In 0.7.0 a request does not tell.
    is_cancelled = getattr(request, "is_cancelled", lambda: False)
    note("began")
    end = time.monotonic() + float(request["INPUT_1"][0, 0])
    while time.monotonic() < end:
        if is_cancelled():
            note("saw")
            break
        time.sleep(_STEP_S)
    return [{"OUTPUT_1": request["INPUT_1"]}]


def main() -> None:
    """Serve until a signal."""
    http_port, grpc_port, metrics_port = (int(argument) for argument in sys.argv[1:4])
    local = "127.0.0.1"
    config = TritonConfig(
        http_address=local,
        http_port=http_port,
        grpc_address=local,
        grpc_port=grpc_port,
        metrics_address=local,
        metrics_port=metrics_port,
    )
    patient = DynamicBatcher(max_queue_delay_microseconds=300_000, preferred_batch_size=[4])
    with Triton(config=config, **open_endpoints(pytriton.triton)) as triton:

        def bind(name: str, function: Any, model_config: Any, **more: Any) -> None:
            triton.bind(
                model_name=name,
                infer_func=function,
                inputs=[Tensor(name="INPUT_1", dtype=np.float32, shape=(-1,))],
                outputs=[Tensor(name="OUTPUT_1", dtype=np.float32, shape=(-1,))],
                config=model_config,
                **more,
            )

        if _HAS_PROCESSES:
            from pytriton.workers import WorkerProcesses

            bind("identity", Identity, ModelConfig(max_batch_size=128), workers=WorkerProcesses(count=2))
        else:
            bind("identity", [Identity(), Identity()], ModelConfig(max_batch_size=128))
        bind("faulty", faulty, ModelConfig(max_batch_size=4, batcher=patient))
        bind("slow", slow, ModelConfig(max_batch_size=1))
        triton.serve()


def open_endpoints(module: Any) -> dict[str, Any]:
    """Return what opens all endpoints, some of which 0.7.0 restricts."""
    security = getattr(module, "TritonSecurityConfig", None)
    return {"security_config": security(restricted_endpoints=[])} if security else {}


if __name__ == "__main__":
    main()
