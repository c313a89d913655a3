# SPDX-License-Identifier: Apache-2.0
"""Every client against a server that restricts its endpoints; streams of a real streaming model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
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
from pytriton.client.exceptions import PyTritonClientAccessDeniedError
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import TritonSecurityConfig
from tests.helpers.clients import Array
from tests.helpers.gate import wait_until
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running

TOKEN = "secret"


@batch
def echo(x: Array) -> dict[str, Array]:
    return {"y": x}


@batch
def count(x: Array) -> Iterator[dict[str, Array]]:
    for number in range(int(x.max())):
        yield {"y": np.full_like(x, number)}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    x, y = [Tensor((1,), np.float32, "x")], [Tensor((1,), np.float32, "y")]
    security = TritonSecurityConfig(access_token=TOKEN, restricted_endpoints=["inference", "model-config"])
    models = [
        Model("echo", echo, x, y, ModelConfig(max_batch_size=4)),
        Model("count", count, x, y, ModelConfig(max_batch_size=4, decoupled=True)),
    ]
    with running(*models, security_config=security) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return f"{request.param}://{LOCAL}:{server.http_port if request.param == 'http' else server.grpc_port}"


def test_without_the_token(url: str) -> None:
    with (
        ModelClient(url, "echo") as client,
        pytest.raises(PyTritonClientAccessDeniedError, match="access_token="),
    ):
        client.infer_sample([1])


def test_with_the_token(url: str) -> None:
    async def later() -> Any:
        async with AsyncioModelClient(url, "echo", access_token=TOKEN) as client:
            return await client.infer_sample([1])

    with ModelClient(url, "echo", access_token=TOKEN) as client:
        assert client.infer_sample([1])["y"] == 1
        with ModelClient.from_existing_client(client) as copy:
            assert copy.infer_sample([1])["y"] == 1
    assert asyncio.run(later())["y"] == 1
    with FuturesModelClient(url, "echo", access_token=TOKEN) as futures:
        assert futures.infer_sample([1]).result(TIMEOUT_S)["y"] == 1


def test_streams(server: Server) -> None:
    url = f"grpc://{LOCAL}:{server.grpc_port}"

    async def later() -> list[float]:
        async with AsyncioDecoupledModelClient(url, "count", access_token=TOKEN) as client:
            return [outputs["y"].item() async for outputs in client.infer_sample([3])]

    with DecoupledModelClient(url, "count", access_token=TOKEN) as client:
        assert [outputs["y"].item() for outputs in client.infer_sample([3])] == [0, 1, 2]
        for _ in client.infer_sample([1000]):
            break  # what is left of it comes to nobody
        assert [outputs["y"].tolist() for outputs in client.infer_batch([[2], [1]])] == [
            [[0], [0]],
            [[1], [1]],
        ]
    assert asyncio.run(later()) == [0, 1, 2]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_unloading_and_loading(scheme: str) -> None:
    """Of a server of its own: whoever may, takes a model out and puts it in again."""
    x, y = [Tensor((1,), np.float32, "x")], [Tensor((1,), np.float32, "y")]
    security = TritonSecurityConfig(access_token=TOKEN, restricted_endpoints=["model-repository"])
    with running(Model("echo", echo, x, y), security_config=security) as own:
        own_url = f"{scheme}://{LOCAL}:{own.http_port if scheme == 'http' else own.grpc_port}"
        with (
            ModelClient(own_url, "echo") as stranger,
            ModelClient(own_url, "echo", access_token=TOKEN) as client,
        ):
            with pytest.raises(PyTritonClientAccessDeniedError):
                stranger.unload_model()
            assert stranger.infer_sample([1])["y"] == 1
            client.unload_model()
            wait_until(lambda: own.get("/v2/models/echo/ready").status != 200, "a model that is gone")
            with pytest.raises(PyTritonClientAccessDeniedError):
                stranger.load_model()
            client.load_model()
            assert client.infer_sample([2])["y"] == 2
