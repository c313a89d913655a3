# SPDX-License-Identifier: Apache-2.0
"""Which regions of clients a server knows of, and until when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pytriton.client import AsyncioModelClient, ModelClient
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientInferenceServerError,
    PyTritonClientTimeoutError,
)
from pytriton.client.options import InferOptions, Retry
from pytriton.triton import TritonSecurityConfig
from tests.helpers.gate import wait_until
from tests.helpers.large_models import (
    SIZE,
    calls,
    double,
    gate,
    is_clear,
    large_model,
    large_models,
    registered,
)
from tests.helpers.server import LOCAL, TIMEOUT_S, Server, free_ports, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*large_models()) as running_server:
        yield running_server


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    port = server.http_port if request.param == "http" else server.grpc_port
    calls.clear()
    yield f"{request.param}://{LOCAL}:{port}"
    wait_until(lambda: is_clear(server, f"{request.param}://{LOCAL}:{port}"), "no regions")
    assert not list(Path("/dev/shm").glob("pytriton-client-*"))


def test_errors_of_the_model(server: Server, url: str) -> None:
    with ModelClient(url, "fail", shared_memory="always") as client:
        for _ in range(5):
            with pytest.raises(PyTritonClientInferenceServerError, match="no luck"):
                client.infer_sample(np.ones(SIZE, np.float32))
        assert len(registered(server)) == 2


def test_memory_of_a_request_that_timed_out_is_not_used_before_its_end(server: Server, url: str) -> None:
    ones, twos = np.ones(SIZE, np.float32), np.full(SIZE, 2, np.float32)
    with ModelClient(url, "slow", shared_memory="always") as client:
        gate.shut()
        try:
            with pytest.raises(PyTritonClientTimeoutError):
                client.infer_sample(ones, options=InferOptions(timeout_s=0.3))
            gate.wait_for_arrival()
        finally:
            gate.open()
        for _ in range(10):
            assert (client.infer_sample(twos)["y"] == 4).all()
        wait_until(
            lambda: (client.infer_sample(twos), len(registered(server)))[1] == 2, "only regions in use"
        )


def test_cancelled_tasks(server: Server, url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "slow", shared_memory="always") as client:
            gate.shut()
            try:
                tasks = [asyncio.create_task(client.infer_sample(np.ones(SIZE, np.float32)))]
                await asyncio.to_thread(gate.wait_for_arrival)
                tasks[0].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await tasks[0]
            finally:
                gate.open()
            given = np.full(SIZE, 3, np.float32)
            assert ((await client.infer_sample(given))["y"] == 6).all()
            while len(registered(server)) != 2:
                await client.infer_sample(given)

    asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))


def test_sizes_that_the_configuration_does_not_tell_go_over_the_wire(server: Server, url: str) -> None:
    given = np.ones(SIZE, np.float32)
    with ModelClient(url, "free", shared_memory="always") as client:
        for factor in (1, 3, 2):
            assert client.infer_sample(np.tile(given, factor))["y"].sum() == 2 * factor * SIZE
        assert len(calls) == 3
        assert len(registered(server)) <= 3  # of the inputs, which have three sizes


def test_guessed_sizes_when_runs_may_be_repeated(server: Server, url: str) -> None:
    x, retry = np.ones(SIZE, np.float32), Retry(1, idempotent=True)
    with ModelClient(url, "repeat", shared_memory="auto", retry=retry) as client:
        for times in (1, 1, 3, 3, 1):
            assert client.infer_sample(x, np.array([times], np.int32))["y"].shape == (times * SIZE,)
        assert len(calls) == 6  # the one that no longer fitted was run twice
        client.infer_sample(
            x, np.array([5], np.int32), options=InferOptions(sequence_id=3, sequence_start=True)
        )
        assert len(calls) == 7


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    security = TritonSecurityConfig(access_token="secret")
    with running(large_model("float32", double), security_config=security) as running_server:
        yield running_server


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_restricted_endpoints(guarded: Server, protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    port = guarded.http_port if protocol == "http" else guarded.grpc_port
    url, given = f"{protocol}://{LOCAL}:{port}", np.ones(SIZE, np.float32)
    with ModelClient(url, "float32", shared_memory="always") as client:
        refused = pytest.raises(PyTritonClientAccessDeniedError, match=r"get_access_token\(\)")
        with refused:
            client.infer_sample(given)
    caplog.set_level(logging.WARNING, "pytriton.client")
    with ModelClient(url, "float32", shared_memory="auto") as client:
        for _ in range(3):
            assert (client.infer_sample(given)["y"] == 2).all()
    assert caplog.text.count("get_access_token()") == 1
    headers = {"triton-access-token": "secret"}

    def regions() -> int:
        return len(guarded.request("GET", "/v2/systemsharedmemory/status", headers=headers).json)

    with ModelClient(url, "float32", shared_memory="auto", access_token="secret") as client:
        assert (client.infer_sample(given)["y"] == 2).all()
        assert regions() == 2
    assert regions() == 0


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_comes_again_knows_no_regions(protocol: str) -> None:
    http_port, grpc_port = free_ports(2)
    config = {"http_port": http_port, "grpc_port": grpc_port}
    url = f"{protocol}://{LOCAL}:{http_port if protocol == 'http' else grpc_port}"
    given = np.ones(SIZE, np.float32)
    with ModelClient(
        url,
        "float32",
        shared_memory="always",
        retry=Retry(100, 0.05, 0.2),
        inference_timeout_s=TIMEOUT_S,
    ) as client:
        for _ in range(2):
            with running(large_model("float32", double), config=config) as server:
                for _ in range(3):
                    assert (client.infer_sample(given)["y"] == 2).all()
                assert len(registered(server)) == 2


def test_only_so_much_is_kept(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytriton.client._shared_memory.regions._MOST_IDLE", 1)
    with ModelClient(url, "free", shared_memory="always") as client, ThreadPoolExecutor(8) as pool:
        given = [np.ones(SIZE * factor, np.float32) for factor in range(1, 40, 5)]
        list(pool.map(client.infer_sample, given))
        wait_until(lambda: (client.infer_sample(given[0]), len(registered(server)))[1] <= 3, "few regions")
