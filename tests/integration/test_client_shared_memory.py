# SPDX-License-Identifier: Apache-2.0
"""Clients whose tensors go through shared memory: the same results, and nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import (
    AsyncioDecoupledModelClient,
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    ModelClient,
)
from pytriton.client._shared_memory.block import Block
from pytriton.client._shared_memory.memory import Memory
from pytriton.client.exceptions import PyTritonClientSharedMemoryError, PyTritonClientValueError
from pytriton.client.options import InferOptions
from tests.helpers.clients import Array
from tests.helpers.gate import wait_until
from tests.helpers.large_models import DTYPES, SIZE, calls, is_clear, large_models, registered
from tests.helpers.server import LOCAL, TIMEOUT_S, Server, running

_STRINGS: Final = np.array([b"x" * (n % 50) for n in range(20_000)], object)


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


@pytest.fixture
def grpc_url(server: Server) -> Iterator[str]:
    yield f"grpc://{LOCAL}:{server.grpc_port}"
    wait_until(lambda: is_clear(server, f"grpc://{LOCAL}:{server.grpc_port}"), "no regions")


@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_are_those_of_any_other_transport(server: Server, url: str, dtype: Any, mode: Any) -> None:
    name = np.dtype(dtype).name
    array = (np.arange(4 * SIZE) % 50).astype(dtype).reshape(4, SIZE)
    with ModelClient(url, name) as plain, ModelClient(url, name, shared_memory=mode) as client:
        for given in (array, array[::2], array[:, ::-1], np.asfortranarray(array)):
            result, expected = client.infer_batch(given)["y"], plain.infer_batch(given)["y"]
            assert result.dtype == expected.dtype
            assert result.flags.writeable
            assert result.flags.aligned
            assert np.array_equal(result, expected)
        sample = client.infer_sample(array[1])["y"]
        assert np.array_equal(sample, plain.infer_sample(array[1])["y"])
        # Four rows of bool and uint8 reach what pays; once used, regions are used again.
        assert len(registered(server)) in ((2, 4) if mode == "always" else (2, 3, 4))


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_tensors_of_all_kinds_side_by_side(url: str, mode: Any) -> None:
    small = np.array([1, 2], np.int16)
    inputs: dict[str, Any] = {"number": np.arange(500_000, dtype=np.int32), "small": small, "text": _STRINGS}
    with ModelClient(url, "mixed", shared_memory=mode) as client:
        for _ in range(3):
            result = client.infer_sample(**inputs)
            assert set(result) == {"small_out", "text_out", "number_out"}
            assert np.array_equal(result["number_out"], inputs["number"][::-1])
            assert result["small_out"].tolist() == [1, 2]
            assert result["text_out"].tolist() == _STRINGS.tolist()
        some = client.infer_sample(**inputs, options=InferOptions(outputs=["small_out"]))
        assert list(some) == ["small_out"]


def test_results_keep_their_values(url: str) -> None:
    with ModelClient(url, "float32", shared_memory="always") as client:
        given = [np.full(SIZE, value, np.float32) for value in range(8)]
        results = [client.infer_sample(array)["y"] for array in given]
        assert all((result == 2 * value).all() for value, result in enumerate(results))
        results[0][:] = 99
        assert (client.infer_sample(given[1])["y"] == 2).all()
    assert (results[7] == 14).all()


def test_threads_share_a_client(url: str) -> None:
    def ask(value: int) -> None:
        given = np.full(SIZE, value, np.float32)
        for _ in range(5):
            assert (client.infer_sample(given)["y"] == 2 * value).all()

    with ModelClient(url, "float32", shared_memory="always") as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))


def test_futures(url: str) -> None:
    with FuturesModelClient(url, "float32", max_workers=4, shared_memory="always") as client:
        given = [np.full(SIZE, value, np.float32) for value in range(12)]
        results = [client.infer_sample(array) for array in given]
        assert all((result.result(TIMEOUT_S)["y"] == 2 * n).all() for n, result in enumerate(results))


def test_asyncio(url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "float32", shared_memory="always") as client:
            given = [np.full(SIZE, value, np.float32) for value in range(12)]
            results = await asyncio.gather(*(client.infer_sample(array) for array in given))
            assert all((result["y"] == 2 * value).all() for value, result in enumerate(results))

    asyncio.run(main())


def test_streams(grpc_url: str) -> None:
    given = np.arange(SIZE, dtype=np.float32)

    async def main() -> None:
        async with AsyncioDecoupledModelClient(grpc_url, "stream", shared_memory="always") as client:
            factor = 0
            async for outputs in client.infer_sample(given):
                factor += 1
                assert np.array_equal(outputs["y"], factor * given)
            assert factor == 3
            left = client.infer_sample(given)
            assert np.array_equal((await anext(left))["y"], given)
            await left.aclose()

    with DecoupledModelClient(grpc_url, "stream", shared_memory="always") as client:
        for factor, outputs in enumerate(client.infer_sample(given), 1):
            assert np.array_equal(outputs["y"], factor * given)
        with client.infer_sample(given) as left:
            assert np.array_equal(next(left)["y"], given)
        again = client.infer_sample(given)
        assert [outputs["y"][1] for outputs in again] == [1, 2, 3]
        wait_until(lambda: _released(client, given), "the region of the stream that was left")
    asyncio.run(main())
    # The last stream may still have been ending when its client was closed.
    with ModelClient(grpc_url, "float32", shared_memory="always") as other:
        wait_until(lambda: _released(other, given), "the region of the other stream that was left")


def _released(client: Any, given: Array) -> bool:
    for _ in client.infer_sample(given):
        pass
    return len(_regions_of(client)) <= 2


def _regions_of(client: Any) -> list[str]:
    from pytriton.client._core import operations as ops
    from pytriton.client._core.flow import Exchange

    settings = client._settings
    names: list[str] = client._open().exchange(Exchange(ops.MemoryStatus(), TIMEOUT_S, settings.headers, ""))
    return names


@pytest.mark.parametrize("why", ["elsewhere", "full"])
def test_where_it_cannot_be_used(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if why == "elsewhere":
        monkeypatch.setattr(Block, "key", property(lambda block: f"/nowhere-{block.name}"))
    else:
        monkeypatch.setattr(os, "posix_fallocate", _full)
    expected = "--ipc=host" if why == "elsewhere" else "size of /dev/shm"
    given = np.ones(SIZE, np.float32)
    refused = pytest.raises(PyTritonClientSharedMemoryError, match=expected)
    with ModelClient(url, "float32", shared_memory="always") as client, refused:
        client.infer_sample(given)
    with ModelClient(url, "float32", shared_memory="auto") as client:
        for _ in range(3):
            assert (client.infer_sample(given)["y"] == 2).all()
    assert caplog.text.count(expected) == 1


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("mode", ["on", True, None, 1])
@pytest.mark.parametrize("kind", [ModelClient, AsyncioModelClient, FuturesModelClient])
def test_modes_that_there_are_not(kind: Callable[..., Any], mode: Any) -> None:
    with pytest.raises(PyTritonClientValueError, match="shared_memory must be"):
        kind("localhost", "m", shared_memory=mode)


def test_strangers_are_not_tried(server: Server) -> None:
    # A name that this machine does not answer to: no region is made for it.
    with ModelClient("http://triton.example:8000", "float32", shared_memory="auto") as client:
        memory = client._session.inference.memory
        assert isinstance(memory, Memory)
        assert memory.is_off
