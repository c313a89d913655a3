# SPDX-License-Identifier: Apache-2.0
"""Unary calls that are cancelled as they are answered: the bundled server as it is dies of some of them.

And it keeps the requests of others, and with them the model.
"""

from __future__ import annotations

import platform
import threading
from typing import Any

import grpc
import numpy as np
import pytest

from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.quitters import Quitter, bearing, let_loose, number_request
from tests.helpers.server import TIMEOUT_S, Model, Server

CLIENTS = 6
CALLS = 400  # of each client
NUMBER = Tensor((1,), np.int64)


def echo(requests: list[Any]) -> list[Any]:
    return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


ECHO = Model("echo", echo, [NUMBER], [NUMBER], ModelConfig(batching=False))
# Its answers are known while the request is still being taken.
CACHED = Model("echo", echo, [NUMBER], [NUMBER], ModelConfig(batching=False, response_cache=True))


class Client(Quitter):
    """Gives up each call after a time that it keeps such that half of them are answered."""

    def __init__(self, server: Server, seed: int, *, deadlines: bool, numbers: int) -> None:
        super().__init__(server, seed, CALLS)
        self._numbers = numbers
        self._deadlines = deadlines
        self._patience_s = 0.005
        self.answered = 0

    def ask(self, stub: Any, turn: int) -> None:
        number = turn % self._numbers
        request = number_request("echo", "INPUT_1", number)
        patience_s = self._patience_s * self.chance.uniform(0.8, 1.2)
        done = threading.Event()
        call = stub.ModelInfer.future(request, timeout=patience_s if self._deadlines else TIMEOUT_S)
        call.add_done_callback(lambda _: done.set())
        if not done.wait(TIMEOUT_S if self._deadlines else patience_s):
            call.cancel()
        code = call.code()
        if code is grpc.StatusCode.OK:
            self.answered += 1
            self._patience_s = max(self._patience_s * 0.97, 0.0001)
            if call.result().raw_output_contents[0] != request.raw_input_contents[0]:
                self.wrong.append(f"another answer than {number}")
        elif code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED):
            self.given_up += 1
            self._patience_s = min(self._patience_s * 1.03, TIMEOUT_S / 10)
        else:
            self.wrong.append(f"{code}: {call.details()}")


def fill_cache(server: Server, numbers: int) -> None:
    # Of a call that is given up before its answer is known, the server logs that the cache does not take it.
    for number in range(numbers):
        tensor = {"name": "INPUT_1", "datatype": "INT64", "shape": [1], "data": [number]}
        assert server.infer("echo", {"inputs": [tensor]}).status == 200


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the bundled server is mended on x86-64")
@pytest.mark.parametrize(
    ("model", "deadlines", "numbers"),
    [(ECHO, False, CALLS), (ECHO, True, CALLS), (CACHED, False, 4)],
    ids=["cancelled", "deadline", "cached"],
)
def test_calls_may_be_given_up_at_any_moment(
    caplog: pytest.LogCaptureFixture, model: Model, deadlines: bool, numbers: int
) -> None:
    with bearing(model, caplog, config={"cache_config": ["local,size=4194304"]}) as server:
        if model is CACHED:
            fill_cache(server, numbers)
        clients = [Client(server, seed, deadlines=deadlines, numbers=numbers) for seed in range(CLIENTS)]
        let_loose(clients)
        assert sum(client.given_up for client in clients) > CLIENTS * CALLS / 10
        assert sum(client.answered for client in clients) > CLIENTS * CALLS / 10
