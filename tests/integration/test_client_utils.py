# SPDX-License-Identifier: Apache-2.0
"""The helper functions, with clients of NVIDIA's own."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio

from pytriton.client import AsyncioModelClient, ModelClient, utils
from pytriton.client.asyncio_utils import (
    asyncio_get_model_config,
    asyncio_get_model_state,
    asyncio_wait_for_model_ready,
    asyncio_wait_for_model_status_loaded,
    asyncio_wait_for_server_ready,
)
from pytriton.client.exceptions import PyTritonClientInvalidUrlError, PyTritonClientTimeoutError
from pytriton.client.utils import ModelState
from pytriton.client.warnings import NotSupportedTimeoutWarning
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor, TimeoutAction
from tests.helpers.clients import Array
from tests.helpers.server import LOCAL, Model, Server, free_ports, running

BATCHER = DynamicBatcher(
    max_queue_delay_microseconds=7,
    preferred_batch_size=[2, 4],
    priority_levels=3,
    default_priority_level=2,
    default_queue_policy=QueuePolicy(TimeoutAction.DELAY, 1000, True, 50),
    priority_queue_policy={1: QueuePolicy(max_queue_size=9)},
)


@batch
def echo(x: Array) -> dict[str, Array]:
    return {"y": x}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    x, y = Tensor((-1, 2), np.float16, "x"), Tensor((-1, 2), np.float16, "y")
    with running(Model("echo", echo, [x], [y], ModelConfig(max_batch_size=16, batcher=BATCHER))) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def url(server: Server, protocol: str) -> str:
    return f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    with utils.create_client_from_url(url) as client:
        yield client


def test_waiting_and_reading(client: Any, url: str) -> None:
    utils.wait_for_server_ready(client, timeout_s=5)
    utils.wait_for_model_ready(client, "echo", timeout_s=5)
    utils.wait_for_model_ready(client, "echo", "1", timeout_s=5, headers={"x-any": "1"})
    config = utils.get_model_config(client, "echo", timeout_s=5)
    assert (config.model_name, config.max_batch_size, config.decoupled) == ("echo", 16, False)
    (spec,) = config.inputs or ()
    assert (spec.name, spec.shape, spec.dtype) == ("x", (-1, 2), np.float16)
    assert config.batcher == BATCHER
    with ModelClient(url, "echo") as ours:
        assert ours.model_config == config


def test_what_does_not_come(client: Any) -> None:
    with pytest.raises(
        PyTritonClientTimeoutError, match=r"Waiting for model nope/<latest> to be ready timed out\."
    ):
        utils.wait_for_model_ready(client, "nope", timeout_s=0.1)
    with pytest.raises(PyTritonClientTimeoutError, match=r"Waiting for model echo/7 to be ready timed out\."):
        utils.get_model_config(client, "echo", "7", timeout_s=0.1)


def test_states(client: Any) -> None:
    assert utils.get_model_state(client, "echo") is ModelState.READY
    assert utils.get_model_state(client, "echo", "1") is ModelState.READY
    assert utils.get_model_state(client, "echo", "2") is ModelState.UNAVAILABLE
    assert utils.get_model_state(client, "nope") is ModelState.UNAVAILABLE


def test_parsing(client: Any, protocol: str) -> None:
    index = client.get_model_repository_index()
    ready = {("echo", "1"): ModelState.READY}
    if protocol == "http":
        assert utils.parse_http_response(index) == ready
    else:
        assert utils.parse_grpc_response(index.models) == ready


def test_a_server_that_is_not_there(protocol: str) -> None:
    late = pytest.raises(PyTritonClientTimeoutError, match=r"Waiting for server to be ready timed out\.")
    with utils.create_client_from_url(f"{protocol}://{LOCAL}:{free_ports(1)[0]}") as client, late:
        utils.wait_for_server_ready(client, timeout_s=0.1)


def test_clients_by_url() -> None:
    client = utils.create_client_from_url("localhost:1", network_timeout_s=3)
    assert isinstance(client, tritonclient.http.InferenceServerClient)
    client.close()
    with pytest.warns(NotSupportedTimeoutWarning):
        client = utils.create_client_from_url("grpc://localhost:1", network_timeout_s=3)
    assert isinstance(client, tritonclient.grpc.InferenceServerClient)
    client.close()
    with pytest.raises(PyTritonClientInvalidUrlError):
        utils.create_client_from_url("ftp://localhost")


def test_libraries(url: str, protocol: str) -> None:
    with ModelClient(url, "echo") as client:
        assert client.get_lib() is importlib.import_module(f"tritonclient.{protocol}")
        with client.create_client_from_url(url) as raw:
            assert raw.is_model_ready("echo")
    assert AsyncioModelClient(url, "echo").get_lib() is importlib.import_module(
        f"tritonclient.{protocol}.aio"
    )


def test_without_tritonclient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.http", None)
    with ModelClient("localhost", "echo") as client, pytest.raises(ImportError, match="pip install"):
        client.get_lib()


def test_asyncio(url: str, protocol: str) -> None:
    library = tritonclient.http.aio if protocol == "http" else tritonclient.grpc.aio

    async def main() -> None:
        async with library.InferenceServerClient(url.partition("//")[2]) as client:
            await asyncio_wait_for_server_ready(client, 0.01)
            await asyncio_wait_for_model_status_loaded(client, "echo", 0.01)
            await asyncio_wait_for_model_ready(client, "echo", timeout_s=5)
            assert (await asyncio_get_model_config(client, "echo", timeout_s=5)).max_batch_size == 16
            assert await asyncio_get_model_state(client, "echo") is ModelState.READY
            assert await asyncio_get_model_state(client, "nope") is ModelState.UNAVAILABLE
            with pytest.raises(PyTritonClientTimeoutError, match="Timeout while waiting for model"):
                await asyncio_wait_for_model_ready(client, "nope", timeout_s=0.1)
            with pytest.raises(PyTritonClientTimeoutError, match=r"Waiting for model|Timeout while waiting"):
                await asyncio_get_model_config(client, "nope", timeout_s=0.1)

    asyncio.run(main())
