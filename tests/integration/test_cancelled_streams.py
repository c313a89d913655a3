# SPDX-License-Identifier: Apache-2.0
"""Streams that are cancelled at any moment: the bundled server as it is dies of one in some hundreds."""

from __future__ import annotations

import logging
import os
import platform
import random
import struct
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.processes import server_of
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running

CLIENTS = 6
STREAMS = 200  # of each client
LONGEST = 50


def count(requests: list[Any]) -> Iterator[list[Any]]:
    (request,) = requests
    for number in range(int(request["steps"][0])):
        yield [{"number": np.array([number], np.int64)}]


COUNT = Model(
    "count",
    count,
    [Tensor((1,), np.int64, "steps")],
    [Tensor((1,), np.int64, "number")],
    ModelConfig(batching=False, decoupled=True),
)


class Client:
    """Asks for streams, and cancels about half of them after some responses."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self.left = 0
        self.wrong: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"{LOCAL}:{self._server.grpc_port}", options) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            for _ in range(STREAMS):
                try:
                    self._ask(stub, self._chance.randint(1, LONGEST), self._chance.randint(1, LONGEST))
                except grpc.RpcError as error:
                    self.wrong.append(str(error))

    def _ask(self, stub: Any, steps: int, most: int) -> None:
        request = service_pb2.ModelInferRequest(model_name="count")
        tensor = request.inputs.add()
        tensor.name, tensor.datatype = "steps", "INT64"
        tensor.shape.append(1)
        request.raw_input_contents.append(struct.pack("<q", steps))
        call = stub.ModelStreamInfer(iter((request,)), timeout=TIMEOUT_S)
        numbers = []
        for response in call:
            numbers.append(struct.unpack("<q", response.infer_response.raw_output_contents[0])[0])
            if len(numbers) == most:
                call.cancel()
                self.left += 1
                break
        if numbers != list(range(min(steps, most))):
            self.wrong.append(f"{numbers} of {steps}")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the bundled server is mended on x86-64")
def test_streams_may_be_cancelled_at_any_moment(caplog: pytest.LogCaptureFixture) -> None:
    with running(COUNT) as server:
        pid = server_of(os.getpid())
        clients = [Client(server, seed) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert [client.wrong for client in clients] == [[]] * CLIENTS
        assert sum(client.left for client in clients) > CLIENTS * STREAMS / 3
        assert server_of(os.getpid()) == pid
        server.triton.unbind("count")
        assert server.get("/v2/models/count").status == 404
    # Neither died a server, nor was a request left that kept the model.
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
