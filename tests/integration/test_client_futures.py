# SPDX-License-Identifier: Apache-2.0
"""FuturesModelClient against a real server: limits, cancelling, ends of all kinds."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from typing import Any

import numpy as np
import pytest

from pytriton.client import FuturesModelClient
from pytriton.client.exceptions import (
    PyTritonClientAbortedError,
    PyTritonClientClosedError,
    PyTritonClientInvalidUrlError,
    PyTritonClientModelUnavailableError,
    PyTritonClientQueueFullError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array
from tests.helpers.gate import Gate, wait_until
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, free_ports, running

gate = Gate()
calls: list[Any] = []
begun = threading.Semaphore(0)
told: queue.SimpleQueue[bool] = queue.SimpleQueue()


@batch
def echo(x: Array) -> dict[str, Array]:
    calls.extend(x.ravel().tolist())
    gate.pass_through()
    return {"y": x}


def watch(requests: list[Request]) -> list[dict[str, Array]]:
    begun.release()
    deadline = time.monotonic() + TIMEOUT_S
    while not requests[0].is_cancelled() and time.monotonic() < deadline:
        time.sleep(0.005)
    told.put(requests[0].is_cancelled())
    return [{"y": request["x"]} for request in requests]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    x, y = (Tensor((1,), np.float32, name) for name in "xy")
    config = ModelConfig(max_batch_size=16)
    models = [Model("echo", echo, [x], [y], config), Model("watch", watch, [x], [y], config)]
    with running(*models) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return f"{request.param}://{LOCAL}:{server.http_port if request.param == 'http' else server.grpc_port}"


@pytest.fixture
def shut() -> Iterator[None]:
    calls.clear()
    gate.shut()
    yield
    gate.open()


def test_many_requests(url: str) -> None:
    with FuturesModelClient(url, "echo", max_queue_size=None) as client:
        futures = [client.infer_sample([number]) for number in range(500)]
        assert [future.result(TIMEOUT_S)["y"].item() for future in futures] == list(range(500))
        assert client.infer_batch([[1], [2]]).result(TIMEOUT_S)["y"].tolist() == [[1], [2]]
        assert client.model_config().result(TIMEOUT_S).max_batch_size == 16
        assert client.wait_for_model(TIMEOUT_S).result(TIMEOUT_S) is None


def test_errors_come_through_futures(url: str) -> None:
    with FuturesModelClient(url, "echo") as client:
        with pytest.raises(PyTritonClientValueError):
            client.infer_sample(z=[1]).result(TIMEOUT_S)
        assert client.infer_sample([1]).result(TIMEOUT_S)["y"] == 1
    with FuturesModelClient(url, "nope") as client, pytest.raises(PyTritonClientModelUnavailableError):
        client.infer_sample([1]).result(TIMEOUT_S)


@pytest.mark.parametrize("limits", [{"max_workers": 0}, {"max_queue_size": 0}, {"max_workers": -1}])
def test_limits_that_are_none(limits: Any) -> None:
    with pytest.raises(ValueError, match="must be greater than 0"):
        FuturesModelClient("localhost", "echo", **limits)


def test_invalid_urls() -> None:
    with pytest.raises(PyTritonClientInvalidUrlError, match="Invalid url"):
        FuturesModelClient("ftp://localhost", "echo")


def test_a_full_queue(url: str, shut: None) -> None:
    with FuturesModelClient(url, "echo", max_workers=2, max_queue_size=3, non_blocking=True) as client:
        futures = [client.infer_sample([number]) for number in range(5)]
        with pytest.raises(PyTritonClientQueueFullError, match="2 requests are under way, 3 wait"):
            client.infer_sample([5])
        gate.open()
        assert [future.result(TIMEOUT_S)["y"].item() for future in futures] == list(range(5))
        assert client.infer_sample([6]).result(TIMEOUT_S)["y"] == 6


def test_patience_with_a_full_queue(url: str, shut: None) -> None:
    with FuturesModelClient(url, "echo", max_workers=1, max_queue_size=1, inference_timeout_s=0.2) as client:
        futures = [client.infer_sample([number]) for number in range(2)]
        with pytest.raises(PyTritonClientQueueFullError):
            [client.infer_sample([number]) for number in range(3)]
        assert wait(futures, TIMEOUT_S).not_done == set()
        assert isinstance(futures[0].exception(), PyTritonClientTimeoutError)


def test_a_place_that_becomes_free(url: str, shut: None) -> None:
    with FuturesModelClient(url, "echo", max_workers=1, max_queue_size=1) as client:
        futures = [client.infer_sample([0]), client.infer_sample([1])]
        gate.wait_for_arrival()
        sender = threading.Thread(target=lambda: futures.append(client.infer_sample([2])))
        sender.start()
        gate.open()
        sender.join(TIMEOUT_S)
        assert [future.result(TIMEOUT_S)["y"].item() for future in futures] == [0, 1, 2]


def test_aborting_what_is_under_way(url: str, shut: None) -> None:
    with FuturesModelClient(url, "echo", max_workers=1, max_queue_size=2) as client:
        running_, waiting = client.infer_sample([0]), client.infer_sample([1])
        wait_until(lambda: 0 in calls, "the first request in the function")
        assert not running_.cancel()
        assert running_.abort()
        with pytest.raises(PyTritonClientAbortedError):
            running_.result(TIMEOUT_S)
        assert not running_.abort()
        assert not running_.cancelled()
        gate.open()
        assert waiting.result(TIMEOUT_S)["y"] == 1
        assert not waiting.abort()
        queued = client.infer_sample([2])
        assert queued.abort() or queued.done()


def test_aborting_while_nobody_is_there() -> None:
    (port,) = free_ports(1)
    with FuturesModelClient(f"http://{LOCAL}:{port}", "echo", max_workers=3) as client:
        futures = [client.infer_sample([0]) for _ in range(3)]
        for future in futures:
            wait_until(future.running, "a request under way")
        assert futures[0].abort()
        with pytest.raises(PyTritonClientAbortedError):
            futures[0].result(TIMEOUT_S)
        assert not any(future.done() for future in futures[1:])
        for future in futures[1:]:
            assert future.abort()
            assert isinstance(future.exception(TIMEOUT_S), PyTritonClientAbortedError)


def test_aborting_tells_a_function_over_grpc(server: Server) -> None:
    with FuturesModelClient(f"grpc://{LOCAL}:{server.grpc_port}", "watch", max_workers=1) as client:
        future = client.infer_sample([0])
        begun.acquire(timeout=TIMEOUT_S)
        assert future.abort()
        assert told.get(timeout=TIMEOUT_S)


def test_cancelling_what_waits(url: str, shut: None) -> None:
    with FuturesModelClient(url, "echo", max_workers=1, max_queue_size=2, non_blocking=True) as client:
        running_, waiting, other = (client.infer_sample([number]) for number in range(3))
        wait_until(running_.running, "the first request")
        assert waiting.cancel()
        assert not running_.cancel()
        replacement = client.infer_sample([3])  # there is a place again
        gate.open()
        for future, value in ((running_, 0), (other, 2), (replacement, 3)):
            assert future.result(TIMEOUT_S)["y"] == value
        with pytest.raises(CancelledError):
            waiting.result()
    assert 1 not in calls


def test_closing_waits_for_what_was_asked(url: str) -> None:
    client = FuturesModelClient(url, "echo", max_workers=2)
    futures = [client.infer_sample([number]) for number in range(20)]
    client.close()
    assert [future.result(0)["y"].item() for future in futures] == list(range(20))
    client.close()
    for call in (client.model_config, lambda: client.infer_sample([1]), lambda: client.wait_for_model(1)):
        with pytest.raises(PyTritonClientClosedError):
            call()


def test_closing_without_waiting(url: str, shut: None) -> None:
    client = FuturesModelClient(url, "echo", max_workers=1)
    futures = [client.infer_sample([number]) for number in range(3)]
    gate.wait_for_arrival()
    client.close(wait=False)
    assert not futures[0].done()
    gate.open()
    assert [future.result(TIMEOUT_S)["y"].item() for future in futures] == [0, 1, 2]


def test_a_client_that_nobody_closes_goes(url: str) -> None:
    client = FuturesModelClient(url, "echo")
    assert client.infer_sample([1]).result(TIMEOUT_S)["y"] == 1
    del client  # the leak check waits for its threads


def test_map(url: str) -> None:
    with FuturesModelClient(url, "echo", max_workers=4, max_queue_size=2) as client:
        assert [result["y"].item() for result in client.map(range(100))] == list(range(100))
        assert [result["y"].item() for result in client.map({"x": [n]} for n in range(3))] == [0, 1, 2]
        assert [result["y"].item() for result in client.map(([n],) for n in range(3))] == [0, 1, 2]
        batches = client.map([np.array([[1], [2]], np.float32)], is_batch=True)
        assert next(batches)["y"].tolist() == [[1], [2]]


def test_map_does_not_run_ahead(url: str) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with FuturesModelClient(url, "echo", max_workers=4) as client:
        results = client.map(numbers())
        next(results)
        assert len(taken) <= 8
        results.close()  # type: ignore[attr-defined]


FORGOTTEN = """
import sys
from pytriton.client import FuturesModelClient
client = FuturesModelClient(sys.argv[1], "echo", init_timeout_s=100)
futures = [client.infer_sample([number]) for number in range(5)]
if sys.argv[2] == "done":
    print([future.result()["y"].item() for future in futures])
"""


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("state", ["done", "under way", "nobody there"])
def test_forgetting_to_close_does_not_hang_the_exit(server: Server, protocol: str, state: str) -> None:
    port = server.http_port if protocol == "http" else server.grpc_port
    if state == "nobody there":
        (port,) = free_ports(1)
    if state == "under way":
        gate.shut()
    try:
        ended = subprocess.run(
            [sys.executable, "-c", FORGOTTEN, f"{protocol}://{LOCAL}:{port}", state],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    finally:
        gate.open()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == ("[0.0, 1.0, 2.0, 3.0, 4.0]\n" if state == "done" else "")
