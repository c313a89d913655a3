# SPDX-License-Identifier: Apache-2.0
"""Streams that are cancelled at any moment: the bundled server as it is dies of one in some hundreds."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.quitters import Quitter, bearing, let_loose, number_request
from tests.helpers.server import TIMEOUT_S, Model

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


class Client(Quitter):
    """Asks for streams, and cancels about half of them after some responses."""

    def ask(self, stub: Any, turn: int) -> None:
        steps, most = self.chance.randint(1, LONGEST), self.chance.randint(1, LONGEST)
        request = number_request("count", "steps", steps)
        call = stub.ModelStreamInfer(iter((request,)), timeout=TIMEOUT_S)
        numbers = []
        for response in call:
            numbers.append(struct.unpack("<q", response.infer_response.raw_output_contents[0])[0])
            if len(numbers) == most:
                call.cancel()
                self.given_up += 1
                break
        if numbers != list(range(min(steps, most))):
            self.wrong.append(f"{numbers} of {steps}")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the bundled server is mended on x86-64")
def test_streams_may_be_cancelled_at_any_moment(caplog: pytest.LogCaptureFixture) -> None:
    with bearing(COUNT, caplog) as server:
        clients = [Client(server, seed, STREAMS) for seed in range(CLIENTS)]
        let_loose(clients)
        assert sum(client.given_up for client in clients) > CLIENTS * STREAMS / 3
