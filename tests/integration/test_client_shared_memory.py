# SPDX-License-Identifier: Apache-2.0
"""Clients whose tensors go through shared memory: the same results, and nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import logging
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
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientInferenceServerError,
    PyTritonClientSharedMemoryError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.client.options import InferOptions, Retry
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import TritonSecurityConfig
from tests.helpers.clients import Array
from tests.helpers.gate import Gate, wait_until
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, free_ports, running

_SIZE: Final = 100_000
_DTYPES: Final = (np.float32, np.float64, np.int64, np.uint8, np.bool_, np.float16)
_STRINGS: Final = np.array([b"x" * (n % 50) for n in range(20_000)], object)
gate = Gate()
calls: list[int] = []


@batch
def double(x: Array) -> dict[str, Array]:
    calls.append(len(x))
    return {"y": x + x}


@batch
def slow(x: Array) -> dict[str, Array]:
    gate.pass_through()
    return {"y": x + x}


@batch
def mixed(number: Array, small: Array, text: Array) -> dict[str, Array]:
    return {"small_out": small, "text_out": text, "number_out": number[:, ::-1]}


@batch
def fail(x: Array) -> dict[str, Array]:
    raise ZeroDivisionError("no luck")


@batch
def repeat(x: Array, times: Array) -> dict[str, Array]:
    calls.append(len(x))
    return {"y": np.repeat(x, int(times[0, 0]), axis=1)}


@batch
def stream(x: Array) -> Iterator[dict[str, Array]]:
    for factor in range(1, 4):
        yield {"y": factor * x}


def _model(name: str, function: Any, size: int = _SIZE, dtype: Any = np.float32, **config: Any) -> Model:
    tensors = [Tensor((size,), dtype, "x")], [Tensor((size,), dtype, "y")]
    return Model(name, function, *tensors, ModelConfig(max_batch_size=4, **config))


def _models() -> list[Model]:
    number, small = Tensor((-1,), np.int32, "number"), Tensor((2,), np.int16, "small")
    text = Tensor((-1,), bytes, "text")
    outputs = [Tensor(each.shape, each.dtype, f"{each.name}_out") for each in (number, small, text)]
    return [
        *(_model(np.dtype(dtype).name, double, dtype=dtype) for dtype in _DTYPES if dtype is not np.bool_),
        Model("bool", batch(lambda x: {"y": ~x}), *_bool(), ModelConfig(max_batch_size=4)),
        _model("free", double, -1),
        _model("slow", slow),
        _model("fail", fail),
        _model("stream", stream, -1, decoupled=True),
        Model("mixed", mixed, [number, small, text], outputs, ModelConfig(max_batch_size=4)),
        Model(
            "repeat",
            repeat,
            [Tensor((-1,), np.float32, "x"), Tensor((1,), np.int32, "times")],
            [Tensor((-1,), np.float32, "y")],
            ModelConfig(max_batch_size=4),
        ),
    ]


def _bool() -> tuple[list[Tensor], list[Tensor]]:
    return [Tensor((_SIZE,), np.bool_, "x")], [Tensor((_SIZE,), np.bool_, "y")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as running_server:
        yield running_server


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    port = server.http_port if request.param == "http" else server.grpc_port
    calls.clear()
    yield f"{request.param}://{LOCAL}:{port}"
    wait_until(lambda: _is_clear(server, f"{request.param}://{LOCAL}:{port}"), "no regions")
    assert not list(Path("/dev/shm").glob("pytriton-client-*"))


@pytest.fixture
def grpc_url(server: Server) -> Iterator[str]:
    yield f"grpc://{LOCAL}:{server.grpc_port}"
    wait_until(lambda: _is_clear(server, f"grpc://{LOCAL}:{server.grpc_port}"), "no regions")


def _is_clear(server: Server, url: str) -> bool:
    """Whether the server knows no regions; for those that were in use at the end a client comes and goes."""
    if _regions(server):
        with ModelClient(url, "float32", shared_memory="always") as client:
            client.infer_sample(np.ones(_SIZE, np.float32))
    return not _regions(server)


def _regions(server: Server) -> list[str]:
    return [region["name"] for region in server.get("/v2/systemsharedmemory/status").json]


@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize("dtype", _DTYPES)
def test_results_are_those_of_any_other_transport(server: Server, url: str, dtype: Any, mode: Any) -> None:
    name = np.dtype(dtype).name
    array = (np.arange(4 * _SIZE) % 50).astype(dtype).reshape(4, _SIZE)
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
        assert len(_regions(server)) in ((2, 4) if mode == "always" else (2, 3, 4))


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
        given = [np.full(_SIZE, value, np.float32) for value in range(8)]
        results = [client.infer_sample(array)["y"] for array in given]
        assert all((result == 2 * value).all() for value, result in enumerate(results))
        results[0][:] = 99
        assert (client.infer_sample(given[1])["y"] == 2).all()
    assert (results[7] == 14).all()


def test_threads_share_a_client(url: str) -> None:
    def ask(value: int) -> None:
        given = np.full(_SIZE, value, np.float32)
        for _ in range(5):
            assert (client.infer_sample(given)["y"] == 2 * value).all()

    with ModelClient(url, "float32", shared_memory="always") as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))


def test_futures(url: str) -> None:
    with FuturesModelClient(url, "float32", max_workers=4, shared_memory="always") as client:
        given = [np.full(_SIZE, value, np.float32) for value in range(12)]
        results = [client.infer_sample(array) for array in given]
        assert all((result.result(TIMEOUT_S)["y"] == 2 * n).all() for n, result in enumerate(results))


def test_asyncio(url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "float32", shared_memory="always") as client:
            given = [np.full(_SIZE, value, np.float32) for value in range(12)]
            results = await asyncio.gather(*(client.infer_sample(array) for array in given))
            assert all((result["y"] == 2 * value).all() for value, result in enumerate(results))

    asyncio.run(main())


def test_streams(grpc_url: str) -> None:
    given = np.arange(_SIZE, dtype=np.float32)

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


def test_errors_of_the_model(server: Server, url: str) -> None:
    with ModelClient(url, "fail", shared_memory="always") as client:
        for _ in range(5):
            with pytest.raises(PyTritonClientInferenceServerError, match="no luck"):
                client.infer_sample(np.ones(_SIZE, np.float32))
        assert len(_regions(server)) == 2


def test_memory_of_a_request_that_timed_out_is_not_used_before_its_end(server: Server, url: str) -> None:
    ones, twos = np.ones(_SIZE, np.float32), np.full(_SIZE, 2, np.float32)
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
        wait_until(lambda: (client.infer_sample(twos), len(_regions(server)))[1] == 2, "only regions in use")


def test_cancelled_tasks(server: Server, url: str) -> None:
    async def main() -> None:
        async with AsyncioModelClient(url, "slow", shared_memory="always") as client:
            gate.shut()
            try:
                tasks = [asyncio.create_task(client.infer_sample(np.ones(_SIZE, np.float32)))]
                await asyncio.to_thread(gate.wait_for_arrival)
                tasks[0].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await tasks[0]
            finally:
                gate.open()
            given = np.full(_SIZE, 3, np.float32)
            assert ((await client.infer_sample(given))["y"] == 6).all()
            while len(_regions(server)) != 2:
                await client.infer_sample(given)

    asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))


def test_sizes_that_the_configuration_does_not_tell_go_over_the_wire(server: Server, url: str) -> None:
    given = np.ones(_SIZE, np.float32)
    with ModelClient(url, "free", shared_memory="always") as client:
        for factor in (1, 3, 2):
            assert client.infer_sample(np.tile(given, factor))["y"].sum() == 2 * factor * _SIZE
        assert len(calls) == 3
        assert len(_regions(server)) <= 3  # of the inputs, which have three sizes


def test_guessed_sizes_when_runs_may_be_repeated(server: Server, url: str) -> None:
    x, retry = np.ones(_SIZE, np.float32), Retry(1, idempotent=True)
    with ModelClient(url, "repeat", shared_memory="auto", retry=retry) as client:
        for times in (1, 1, 3, 3, 1):
            assert client.infer_sample(x, np.array([times], np.int32))["y"].shape == (times * _SIZE,)
        assert len(calls) == 6  # the one that no longer fitted was run twice
        client.infer_sample(
            x, np.array([5], np.int32), options=InferOptions(sequence_id=3, sequence_start=True)
        )
        assert len(calls) == 7


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    security = TritonSecurityConfig(access_token="secret")
    with running(_model("float32", double), security_config=security) as running_server:
        yield running_server


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_restricted_endpoints(guarded: Server, protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    port = guarded.http_port if protocol == "http" else guarded.grpc_port
    url, given = f"{protocol}://{LOCAL}:{port}", np.ones(_SIZE, np.float32)
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
    given = np.ones(_SIZE, np.float32)
    with ModelClient(
        url,
        "float32",
        shared_memory="always",
        retry=Retry(100, 0.05, 0.2),
        inference_timeout_s=TIMEOUT_S,
    ) as client:
        for _ in range(2):
            with running(_model("float32", double), config=config) as server:
                for _ in range(3):
                    assert (client.infer_sample(given)["y"] == 2).all()
                assert len(_regions(server)) == 2


@pytest.mark.parametrize("why", ["elsewhere", "full"])
def test_where_it_cannot_be_used(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if why == "elsewhere":
        monkeypatch.setattr(Block, "key", property(lambda block: f"/nowhere-{block.name}"))
    else:
        monkeypatch.setattr(os, "posix_fallocate", _full)
    expected = "--ipc=host" if why == "elsewhere" else "size of /dev/shm"
    given = np.ones(_SIZE, np.float32)
    refused = pytest.raises(PyTritonClientSharedMemoryError, match=expected)
    with ModelClient(url, "float32", shared_memory="always") as client, refused:
        client.infer_sample(given)
    with ModelClient(url, "float32", shared_memory="auto") as client:
        for _ in range(3):
            assert (client.infer_sample(given)["y"] == 2).all()
    assert caplog.text.count(expected) == 1


def test_only_so_much_is_kept(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytriton.client._shared_memory.regions._MOST_IDLE", 1)
    with ModelClient(url, "free", shared_memory="always") as client, ThreadPoolExecutor(8) as pool:
        given = [np.ones(_SIZE * factor, np.float32) for factor in range(1, 40, 5)]
        list(pool.map(client.infer_sample, given))
        wait_until(lambda: (client.infer_sample(given[0]), len(_regions(server)))[1] <= 3, "few regions")


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
