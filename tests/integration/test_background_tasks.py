# SPDX-License-Identifier: Apache-2.0
"""What functions leave on the event loop goes on while nobody asks for anything."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from pytriton.client import DecoupledModelClient, ModelClient
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.server import LOCAL, Model, Server
from tests.helpers.vectors import TIMEOUT_S

X = [Tensor(name="x", dtype=np.float32, shape=(1,))]
Y = [Tensor(name="y", dtype=np.float32, shape=(1,))]
ONE = np.ones((1,), np.float32)


class Ticking:
    """A function that starts a task when it is asked for the first time, and hands out its loop."""

    def __init__(self) -> None:
        self.ticks: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    async def once(self, requests: list[Any]) -> list[Any]:
        """Answer once."""
        self._start()
        return [{"y": request["x"]} for request in requests]

    async def stream(self, requests: list[Any]) -> AsyncIterator[list[Any]]:
        """Answer twice."""
        self._start()
        for _ in range(2):
            yield [{"y": request["x"]} for request in requests]

    def _start(self) -> None:
        if self._task is None:
            self.loop = asyncio.get_running_loop()
            self._task = self.loop.create_task(self._tick())

    async def _tick(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(0.005)
            number += 1
            self.ticks.put(number)


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("decoupled", [False, True])
def test_tasks_go_on_between_requests(serve: Callable[..., Server], decoupled: bool, in_flight: int) -> None:
    ticking = Ticking()
    function = ticking.stream if decoupled else ticking.once
    config = ModelConfig(max_batch_size=4, decoupled=decoupled, batches_in_flight=in_flight)
    server = serve(Model("m", function, X, Y, config))
    for _ in range(2):
        if decoupled:
            with DecoupledModelClient(f"grpc://{LOCAL}:{server.grpc_port}", "m") as stream:
                assert len(list(stream.infer_sample(ONE))) == 2
        else:
            with ModelClient(f"http://{LOCAL}:{server.http_port}", "m") as client:
                assert client.infer_sample(ONE)["y"] == ONE
        last = ticking.ticks.get(timeout=TIMEOUT_S)
        while not ticking.ticks.empty():
            last = ticking.ticks.get()
        for _ in range(20):
            assert ticking.ticks.get(timeout=TIMEOUT_S) > last

    async def here() -> int:
        return 7

    assert ticking.loop is not None
    assert asyncio.run_coroutine_threadsafe(here(), ticking.loop).result(TIMEOUT_S) == 7


def test_a_task_of_the_last_answer_is_done_later(serve: Callable[..., Server]) -> None:
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    tasks = set()

    async def log() -> None:
        await asyncio.sleep(0.05)
        done.put("logged")

    async def function(requests: list[Any]) -> list[Any]:
        tasks.add(asyncio.get_running_loop().create_task(log()))
        return [{"y": request["x"]} for request in requests]

    server = serve(Model("m", function, X, Y, ModelConfig(max_batch_size=4)))
    with ModelClient(f"http://{LOCAL}:{server.http_port}", "m") as client:
        client.infer_sample(ONE)
        assert done.get(timeout=TIMEOUT_S) == "logged"
