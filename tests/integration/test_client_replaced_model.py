# SPDX-License-Identifier: Apache-2.0
"""Clients that know a model which then goes, or becomes another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.client import AsyncioDecoupledModelClient, AsyncioModelClient, DecoupledModelClient, ModelClient
from pytriton.client.exceptions import (
    PyTritonClientInferenceServerError,
    PyTritonClientInputError,
    PyTritonClientModelUnavailableError,
)
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import TritonSecurityConfig
from tests.helpers.server import LOCAL, Model, Server

Serve = Callable[..., Server]
BATCHES = ModelConfig(max_batch_size=4)
STREAMS = ModelConfig(max_batch_size=4, decoupled=True)
PROTOCOLS = pytest.mark.parametrize("protocol", ["http", "grpc"])


def floats(name: str, size: int = 1) -> list[Tensor]:
    return [Tensor((size,), np.float32, name)]


@batch
def echo(**inputs: Any) -> dict[str, Any]:
    return {"y": next(iter(inputs.values()))}


@batch
def repeat(x: Any) -> Iterator[dict[str, Any]]:
    yield {"y": x}
    yield {"y": x}


def url_of(server: Server, protocol: str) -> str:
    return f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"


@PROTOCOLS
def test_a_model_that_was_unbound_is_unavailable(serve: Serve, protocol: str) -> None:
    server = serve(
        Model("m", echo, floats("x"), floats("y"), BATCHES), security_config=TritonSecurityConfig()
    )
    with ModelClient(url_of(server, protocol), "m") as client:
        client.infer_sample([1])
        server.triton.unbind("m")
        begin = time.monotonic()
        for _ in range(2):
            with pytest.raises(PyTritonClientModelUnavailableError, match="unknown model"):
                client.infer_sample([1])
        assert time.monotonic() - begin < 5

        Model("m", echo, floats("z"), floats("y"), BATCHES).bind_to(server.triton)
        assert client.infer_sample(z=[2])["y"] == 2


@PROTOCOLS
def test_it_is_unavailable_for_asyncio_and_streams_too(serve: Serve, protocol: str) -> None:
    server = serve(
        Model("m", echo, floats("x"), floats("y"), BATCHES),
        Model("s", repeat, floats("x"), floats("y"), STREAMS),
    )
    url = url_of(server, protocol)

    async def later() -> None:
        async with AsyncioModelClient(url, "m") as one, AsyncioDecoupledModelClient(url, "s") as stream:
            await one.infer_sample([1])
            assert len([outputs async for outputs in stream.infer_sample([1])]) == 2
            server.triton.unbind("m")
            server.triton.unbind("s")
            with pytest.raises(PyTritonClientModelUnavailableError):
                await one.infer_sample([1])
            with pytest.raises(PyTritonClientModelUnavailableError):
                async for _ in stream.infer_sample([1]):
                    pass

    with DecoupledModelClient(url, "s") as client:
        assert len(list(client.infer_sample([1]))) == 2
        asyncio.run(later())
        with pytest.raises(PyTritonClientModelUnavailableError):
            list(client.infer_sample([1]))


@PROTOCOLS
@pytest.mark.parametrize(
    ("inputs", "right"),
    [
        (floats("z"), {"z": [1.0]}),
        ([*floats("x"), *floats("z")], {"x": [1.0], "z": [2.0]}),
        (floats("x", 2), {"x": [1.0, 2.0]}),
        ([Tensor((1,), np.int32, "x")], {"x": [1]}),
    ],
    ids=["other name", "one more", "other shape", "other type"],
)
def test_a_model_that_became_another_one(
    serve: Serve, protocol: str, inputs: list[Tensor], right: dict[str, Any]
) -> None:
    server = serve(Model("m", echo, floats("x"), floats("y"), BATCHES))
    with (
        ModelClient(url_of(server, protocol), "m") as outdated,
        ModelClient(url_of(server, protocol), "m") as new,
    ):
        outdated.infer_sample(x=[1])
        new.infer_sample(x=[1])
        server.triton.unbind("m")
        Model("m", echo, inputs, [Tensor((-1,), inputs[0].dtype, "y")], BATCHES).bind_to(server.triton)
        with pytest.raises(PyTritonClientInferenceServerError):
            outdated.infer_sample(x=[1])  # the server says so
        assert outdated.infer_sample(**right)["y"].tolist() == next(iter(right.values()))
        if set(right) != {"x"} or len(right["x"]) > 1:
            with pytest.raises(PyTritonClientInputError):
                new.infer_sample(**right)  # the client says so
            assert new.infer_sample(**right)["y"].tolist() == next(iter(right.values()))


@PROTOCOLS
def test_empty_batches_are_not_sent(serve: Serve, protocol: str) -> None:
    server = serve(Model("m", echo, floats("x"), floats("y"), BATCHES))
    with (
        ModelClient(url_of(server, protocol), "m", split_batches=True) as client,
        pytest.raises(PyTritonClientInputError, match="a batch of 0 was given"),
    ):
        client.infer_batch(np.zeros((0, 1), np.float32))
