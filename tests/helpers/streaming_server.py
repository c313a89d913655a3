# SPDX-License-Identifier: Apache-2.0
"""A gRPC server that streams what tests tell it to: for what a real one does not do on demand."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from tests.helpers.server import LOCAL, TIMEOUT_S

__all__ = ["StreamingServer", "streaming_server"]

_SHAPE: Final = [1, 1]


class StreamingServer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Serves the decoupled models "count" and "batched", whose input says how many responses there are.

    The parameter "hang_after" stops after so many, "fail_after" breaks off with an error message and
    "status_after" with a gRPC status.
    """

    def __init__(self) -> None:
        self.url = ""
        self.cancelled: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.metadata: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self.sent = 0
        self.ended = threading.Event()

    def ModelConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        config = model_config_pb2.ModelConfig(
            name=request.name, max_batch_size=8 * (request.name == "batched")
        )
        config.model_transaction_policy.decoupled = request.name != "coupled"
        config.input.add(name="x", data_type=model_config_pb2.TYPE_INT32, dims=[1])
        config.output.add(name="y", data_type=model_config_pb2.TYPE_INT32, dims=[1])
        return service_pb2.ModelConfigResponse(config=config)

    def ModelStreamInfer(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        self.metadata.put(dict(context.invocation_metadata()))
        over = threading.Event()
        context.add_callback(over.set)
        for request in requests:
            count = int(np.frombuffer(request.raw_input_contents[0], np.int32)[0])
            parameters = request.parameters
            if "hang_after" in parameters and not context.add_callback(
                partial(self.cancelled.put, request.id)
            ):
                self.cancelled.put(request.id)
            for number in range(count):
                if "hang_after" in parameters and number == parameters["hang_after"].int64_param:
                    while not over.wait(0.05) and not self.ended.is_set():
                        pass
                    return
                if "fail_after" in parameters and number == parameters["fail_after"].int64_param:
                    yield service_pb2.ModelStreamInferResponse(error_message="no luck")
                    return
                if "status_after" in parameters and number == parameters["status_after"].int64_param:
                    context.abort(grpc.StatusCode.INTERNAL, "broken")
                self.sent += 1
                yield _response(request, count + number)


def _response(request: Any, value: int) -> Any:
    answer = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
    shape = _SHAPE if request.model_name == "batched" else [1]
    answer.outputs.add(name="y", datatype="INT32", shape=shape)
    answer.raw_output_contents.append(np.int32(value).tobytes())
    return service_pb2.ModelStreamInferResponse(infer_response=answer)


@contextlib.contextmanager
def streaming_server() -> Iterator[StreamingServer]:
    """A streaming server for the length of a block."""
    servicer = StreamingServer()
    with ThreadPoolExecutor(32) as pool:
        server = grpc.server(pool)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
        servicer.url = f"grpc://{LOCAL}:{server.add_insecure_port(f'{LOCAL}:0')}"
        server.start()
        try:
            yield servicer
        finally:
            servicer.ended.set()
            assert server.stop(None).wait(TIMEOUT_S)
