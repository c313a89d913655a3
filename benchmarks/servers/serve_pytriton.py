# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"
"""The measured app: identity models behind the public API, which is the same in 0.7.0 and in this package.

Arguments: the HTTP, gRPC and metrics ports, then the models to serve. Commands come on stdin, a word a line:
`counters`, `stop`. End of file stops as well, so nothing outlives the runner.
"""

from __future__ import annotations

import sys
from typing import Any

from events import emit, open_events


def main() -> None:
    """Serve until told to stop."""
    http_port, grpc_port, metrics_port = (int(argument) for argument in sys.argv[1:4])
    open_events()
    emit("started")
    import numpy as np

    import pytriton.triton
    from pytriton.decorators import batch
    from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
    from pytriton.triton import Triton, TritonConfig

    emit("imported")

    @batch
    def identity(INPUT_1: Any) -> Any:
        return {"OUTPUT_1": INPUT_1}

    @batch
    def double(INPUT_1: Any) -> Any:
        return {"OUTPUT_1": INPUT_1 * 2}

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=http_port,
        grpc_address="127.0.0.1",
        grpc_port=grpc_port,
        metrics_address="127.0.0.1",
        metrics_port=metrics_port,
    )
    # full_batch is for the count of copies: it waits for a full batch, and its result is an array of its own.
    patient = DynamicBatcher(max_queue_delay_microseconds=2_000_000, preferred_batch_size=[128])
    models = {
        "identity": (identity, np.float32, ModelConfig(max_batch_size=128)),
        "strings": (identity, bytes, ModelConfig(max_batch_size=128)),
        "full_batch": (double, np.float32, ModelConfig(max_batch_size=128, batcher=patient)),
    }
    emit("constructing")
    triton = Triton(config=config, **open_endpoints(pytriton.triton))
    for name in sys.argv[4:]:
        function, dtype, model_config = models[name]
        triton.bind(
            model_name=name,
            infer_func=function,
            inputs=[Tensor(name="INPUT_1", dtype=dtype, shape=(-1,))],
            outputs=[Tensor(name="OUTPUT_1", dtype=dtype, shape=(-1,))],
            config=model_config,
        )
    triton.run()
    emit("running")
    for line in sys.stdin:
        if line.strip() == "counters":
            emit("counters", **copied(triton))
        elif line.strip() == "stop":
            break
    emit("stopping")
    triton.stop()
    emit("stopped")


def open_endpoints(module: Any) -> dict[str, Any]:
    """Return what opens the statistics endpoint, which perf_analyzer reads and 0.7.0 restricts."""
    security = getattr(module, "TritonSecurityConfig", None)
    return {"security_config": security(restricted_endpoints=[])} if security else {}


def copied(triton: Any) -> dict[str, Any]:
    """Return the bytes that the backend copied, and those that the workers copied, by model."""
    # There is no public way to these numbers, and nobody but a benchmark would want one.
    counted = triton._run._server.process.control.counters(10.0)
    placed = {binding.name: binding._workers.bytes_copied for binding in triton._bindings.values()}
    return {"models": {name: numbers | {"worker": placed[name]} for (name, _), numbers in counted.items()}}


if __name__ == "__main__":
    main()
