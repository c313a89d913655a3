# SPDX-License-Identifier: Apache-2.0
"""Clients that give up what they have asked for over gRPC, and a server that has to bear with them."""

from __future__ import annotations

import abc
import logging
import os
import random
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.helpers.processes import server_of
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running

__all__ = ["Quitter", "bearing", "let_loose", "number_request"]


class Quitter(abc.ABC):
    """Asks again and again, over a connection of its own and in a thread of its own."""

    def __init__(self, server: Server, seed: int, times: int) -> None:
        self._server = server
        self._times = times
        self._thread = threading.Thread(target=self._run)
        self.chance = random.Random(seed)
        self.given_up = 0
        self.wrong: list[str] = []

    @abc.abstractmethod
    def ask(self, stub: Any, turn: int) -> None:
        """Ask once more, and note what comes of it."""

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"{LOCAL}:{self._server.grpc_port}", options) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            for turn in range(self._times):
                try:
                    self.ask(stub, turn)
                except grpc.RpcError as error:
                    self.wrong.append(str(error))


def number_request(model: str, name: str, number: int) -> Any:
    """A request whose only input is one number."""
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name=name, datatype="INT64", shape=[1])
    request.raw_input_contents.append(struct.pack("<q", number))
    return request


def let_loose(quitters: Sequence[Quitter]) -> None:
    """Let all of them ask side by side, to their end; nothing wrong may come of it."""
    for quitter in quitters:
        quitter.start()
    for quitter in quitters:
        quitter.join()
    assert [quitter.wrong for quitter in quitters] == [[]] * len(quitters)


@contextmanager
def bearing(model: Model, caplog: pytest.LogCaptureFixture, **options: Any) -> Iterator[Server]:
    """A server that neither dies in the block nor has a request left at its end that would keep the model."""
    with running(model, **options) as server:
        pid = server_of(os.getpid())
        yield server
        assert server_of(os.getpid()) == pid
        began = time.monotonic()
        server.triton.unbind(model.name)
        assert time.monotonic() - began < TIMEOUT_S
        assert server.get(f"/v2/models/{model.name}").status == 404
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
