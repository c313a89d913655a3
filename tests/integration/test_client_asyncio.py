# SPDX-License-Identifier: Apache-2.0
"""AsyncioModelClient against a real server, over both protocols."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.client import AsyncioModelClient
from pytriton.client.exceptions import (
    PyTritonClientClosedError,
    PyTritonClientInferenceServerError,
    PyTritonClientModelUnavailableError,
    PyTritonClientProtocolError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.clients import Array
from tests.helpers.gate import Gate, plugged
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, free_ports, running

gate = Gate()


@batch
def echo(x: Array) -> dict[str, Array]:
    gate.pass_through()
    return {"y": x}


@batch
def fail(x: Array) -> dict[str, Array]:
    raise RuntimeError("no luck")


def models() -> Iterator[Model]:
    config = ModelConfig(max_batch_size=16)
    for name, function in (("echo", echo), ("strings", echo), ("fail", fail)):
        dtype = bytes if name == "strings" else np.float32
        yield Model(name, function, [Tensor((-1,), dtype, "x")], [Tensor((-1,), dtype, "y")], config)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*models()) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return f"{request.param}://{LOCAL}:{server.http_port if request.param == 'http' else server.grpc_port}"


def test_batch_and_sample(url: str) -> None:
    async def main() -> None:
        x = np.arange(6, dtype=np.float32).reshape(2, 3)
        async with AsyncioModelClient(url, "echo", lazy_init=False) as client:
            np.testing.assert_array_equal((await client.infer_batch(x))["y"], x)
            assert (await client.infer_sample(x=[1, 2]))["y"].tolist() == [1, 2]
            assert (await client.model_config).max_batch_size == 16
            with pytest.raises(PyTritonClientValueError, match="at most 16"):
                await client.infer_batch(np.ones((17, 1), np.float32))
        async with AsyncioModelClient(url, "strings") as client:
            assert (await client.infer_sample(["ż", b"\xff"]))["y"].tolist() == ["ż".encode(), b"\xff"]

    asyncio.run(main())


@pytest.mark.parametrize("size", [1 << 12, 1 << 20, 1 << 23])
def test_sizes(url: str, size: int) -> None:
    async def main() -> None:
        x = np.arange(size, dtype=np.float32)
        async with AsyncioModelClient(url, "echo") as client:
            result = (await client.infer_sample(x))["y"]
            np.testing.assert_array_equal(result, x)
            assert result.flags.writeable
            assert result.flags.aligned

    asyncio.run(main())


def test_many_at_a_time(url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "echo") as client:

            async def ask(number: int) -> bool:
                x = np.full(1 + number % 50, number, np.float32)
                return np.array_equal((await client.infer_sample(x))["y"], x)

            assert all(await asyncio.gather(*map(ask, range(1000))))

    asyncio.run(main())


def test_errors(url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "fail") as client:
            with pytest.raises(PyTritonClientInferenceServerError, match="no luck"):
                await client.infer_sample([1])
            with pytest.raises(PyTritonClientValueError, match='no input "z"'):
                await client.infer_sample(z=[1])
        async with AsyncioModelClient(url, "nope") as client:
            with pytest.raises(PyTritonClientModelUnavailableError, match='"echo"'):
                await client.infer_sample([1])
            with pytest.raises(PyTritonClientTimeoutError, match="Timeout while waiting for model"):
                await client.wait_for_model(0.1)
        with pytest.raises(PyTritonClientModelUnavailableError):
            async with AsyncioModelClient(url, "nope", lazy_init=False):
                pass

    asyncio.run(main())


def test_timeouts_and_cancelled_tasks(server: Server, url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "echo", inference_timeout_s=0.2) as client:
            await client.infer_sample([1])
            with plugged(server, "echo", gate, {"x": np.zeros((1, 1), np.float32)}):
                results = await asyncio.gather(
                    *(client.infer_sample([1]) for _ in range(10)), return_exceptions=True
                )
                assert {type(result) for result in results} == {PyTritonClientTimeoutError}
                task = asyncio.ensure_future(client.infer_sample([1]))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        async with AsyncioModelClient(url, "echo", inference_timeout_s=TIMEOUT_S) as client:
            assert (await client.infer_sample([2]))["y"] == 2

    asyncio.run(main())


def test_closed_clients(server: Server, url: str) -> None:
    async def main() -> None:
        client = AsyncioModelClient(url, "echo")
        config = await client.model_config
        gate.shut()
        try:
            task = asyncio.ensure_future(client.infer_sample([1]))
            await asyncio.to_thread(gate.wait_for_arrival)
            await client.close()
            with pytest.raises(PyTritonClientClosedError):
                await asyncio.wait_for(task, TIMEOUT_S)
        finally:
            gate.open()
        await client.close()
        assert await client.model_config is config
        for call in (client.infer_sample([1]), client.wait_for_model(1), client.wait_for_server(1)):
            with pytest.raises(PyTritonClientClosedError, match="closed"):
                await call

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_one_client_in_one_loop_after_the_other(url: str) -> None:
    client = AsyncioModelClient(url, "echo")

    async def ask() -> Any:
        return (await client.infer_sample([1]))["y"].tolist()

    async def last() -> Any:
        async with client:
            return await ask()

    assert [asyncio.run(ask()), asyncio.run(ask()), asyncio.run(last())] == [[1]] * 3
    gc.collect()  # asyncio complains of connections whose loop ended before them


def test_the_wrong_port_is_told_at_once(server: Server) -> None:
    async def main() -> None:
        for url, advice in (
            (f"http://{LOCAL}:{server.grpc_port}", "gRPC port"),
            (f"grpc://{LOCAL}:{server.http_port}", "HTTP port"),
        ):
            async with AsyncioModelClient(url, "echo") as client:
                with pytest.raises(PyTritonClientProtocolError, match=advice):
                    await client.infer_sample([1])

    asyncio.run(main())


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_nobody_there(protocol: str) -> None:
    async def main() -> None:
        url = f"{protocol}://{LOCAL}:{free_ports(1)[0]}"
        async with AsyncioModelClient(url, "echo", init_timeout_s=0.3) as client:
            with pytest.raises(PyTritonClientTimeoutError, match=r"timed out.*refused"):
                await client.infer_sample([1])

    asyncio.run(main())


def test_copies(url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "echo") as client:
            config = await client.model_config
            async with AsyncioModelClient.from_existing_client(client) as copy:
                assert await copy.model_config is config
                assert (await copy.infer_sample([1]))["y"] == 1

    asyncio.run(main())
