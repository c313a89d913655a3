# SPDX-License-Identifier: Apache-2.0
"""A server that dies in the middle of a request and of a stream: clients are told, and hang on nothing."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.client import (
    AsyncioDecoupledModelClient,
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    ModelClient,
)
from pytriton.client.exceptions import PyTritonClientConnectionError
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import RestartPolicy
from tests.helpers.clients import Array
from tests.helpers.processes import servers_of, watching
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server

arrived = threading.Semaphore(0)
over = threading.Event()


@batch
def slow(x: Array) -> dict[str, Array]:
    arrived.release()
    over.wait(TIMEOUT_S)
    return {"y": x}


@batch
def begun(x: Array) -> Iterator[dict[str, Array]]:
    yield {"y": x}
    arrived.release()
    over.wait(TIMEOUT_S)
    yield {"y": x}


def _request(url: str) -> None:
    with ModelClient(url, "slow") as client:
        client.infer_sample([1])


def _request_in_memory(url: str) -> None:
    with ModelClient(url, "slow", shared_memory="always") as client:
        client.infer_sample([1])


def _future(url: str) -> None:
    with FuturesModelClient(url, "slow", max_workers=1) as client:
        client.infer_sample([1]).result(TIMEOUT_S)


def _task(url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "slow") as client:
            await client.infer_sample([1])

    asyncio.run(main())


def _stream(url: str) -> None:
    with DecoupledModelClient(url, "begun") as client:
        assert len([outputs["y"] for outputs in client.infer_sample([1])]) < 2


def _stream_in_task(url: str) -> None:
    async def main() -> None:
        async with AsyncioDecoupledModelClient(url, "begun") as client:
            assert len([outputs["y"] async for outputs in client.infer_sample([1])]) < 2

    asyncio.run(main())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    "ask", [_request, _request_in_memory, _future, _task, _stream, _stream_in_task], ids=lambda f: f.__name__
)
def test_the_server_is_killed(ask: Callable[[str], None], protocol: str, serve: Any) -> None:
    x, y = [Tensor((1,), np.float32, "x")], [Tensor((1,), np.float32, "y")]
    over.clear()
    models = [
        Model("slow", slow, x, y, ModelConfig(max_batch_size=4)),
        Model("begun", begun, x, y, ModelConfig(max_batch_size=4, decoupled=True)),
    ]
    server: Server = serve(*models, restart_policy=RestartPolicy(max_restarts=0))
    port = server.http_port if protocol == "http" else server.grpc_port
    (number,) = servers_of(os.getpid())

    def kill() -> None:
        arrived.acquire(timeout=TIMEOUT_S)
        with watching(number):
            pass  # it does not outlive the block

    killer = threading.Thread(target=kill)
    killer.start()
    begin = time.monotonic()
    try:
        with pytest.raises(PyTritonClientConnectionError):
            ask(f"{protocol}://{LOCAL}:{port}")
        assert time.monotonic() - begin < TIMEOUT_S
    finally:
        over.set()
        killer.join(TIMEOUT_S)
