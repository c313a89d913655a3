# SPDX-License-Identifier: Apache-2.0
"""What becomes of requests that nobody waits for any more, and what functions know of time."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.batching import current_batch
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.request import Array
from tests.helpers.clients import ask, inputs_for
from tests.helpers.gate import Gate, plugged, wait_for_queue, wait_until
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server
from tests.helpers.streams import grpc_stream, rows, sse

FLOAT = Tensor((1,), np.float32)
ONE = {"INPUT_1": rows(1)}
DOCUMENT = {"inputs": [{"name": "INPUT_1", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}


class Watcher:
    """Functions of every kind that go on until they learn that nobody wants their result."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.how: list[str] = []

    def requests(self, requests: Any) -> Any:
        with self._noting():
            wait_until(lambda: all(request.is_cancelled() for request in requests), "cancellation")
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    @batch
    def whole_batch(self, INPUT_1: Array) -> Any:
        with self._noting():
            wait_until(current_batch().is_cancelled, "cancellation")
        return [INPUT_1]

    @batch
    async def coroutine(self, INPUT_1: Array) -> Any:
        with self._noting():
            await asyncio.sleep(TIMEOUT_S)
        return [INPUT_1]

    @batch
    def generator(self, INPUT_1: Array) -> Iterator[Any]:
        with self._noting():
            while True:
                yield [INPUT_1]

    @batch
    async def async_generator(self, INPUT_1: Array) -> AsyncIterator[Any]:
        with self._noting():
            yield [INPUT_1]
            await asyncio.sleep(TIMEOUT_S)

    def await_begin(self) -> None:
        assert self.begun.acquire(timeout=TIMEOUT_S)

    def await_end(self, how: str) -> None:
        assert self.ended.acquire(timeout=TIMEOUT_S)
        assert self.how == [how]

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        self.begun.release()
        how = "returned"
        try:
            yield
        except BaseException as error:
            how = type(error).__name__
            raise
        finally:
            self.how.append(how)
            self.ended.release()


@contextlib.contextmanager
def unary_grpc(server: Server, name: str) -> Iterator[None]:
    """A request over gRPC that is cancelled at the end of the block."""
    answered = threading.Event()
    call = server.grpc_client.async_infer(name, inputs_for("grpc", ONE), lambda result, error: answered.set())
    yield
    call.cancel()
    assert answered.wait(TIMEOUT_S)


@contextlib.contextmanager
def streamed_grpc(server: Server, name: str) -> Iterator[None]:
    """A request over a gRPC stream that is dropped at the end of the block."""
    with grpc_stream(server, drop=True) as opened:
        opened.send(name, ONE)
        opened.receive()
        yield


@contextlib.contextmanager
def streamed_http(server: Server, name: str) -> Iterator[None]:
    """Server-sent events whose reader hangs up at the end of the block."""
    with sse(server, name, {"INPUT_1": [1]}) as events:
        next(events)
        yield


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.mark.parametrize("kind", ["requests", "whole_batch"])
def test_running_functions_see_it(serve: Any, watcher: Watcher, kind: str) -> None:
    server = serve(Model("m", getattr(watcher, kind), [FLOAT], [FLOAT]))
    with unary_grpc(server, "m"):
        watcher.await_begin()
    watcher.await_end("returned")


@pytest.mark.parametrize("client", [streamed_grpc, streamed_http])
@pytest.mark.parametrize(
    ("kind", "how"), [("generator", "GeneratorExit"), ("async_generator", "CancelledError")]
)
def test_streams_are_closed(serve: Any, watcher: Watcher, kind: str, how: str, client: Any) -> None:
    server = serve(Model("m", getattr(watcher, kind), [FLOAT], [FLOAT], ModelConfig(decoupled=True)))
    with client(server, "m"):
        watcher.await_begin()
    watcher.await_end(how)
    wait_until(lambda: server.statistics("m")["inference_stats"]["fail"]["count"] == 1, "the end")


def test_coroutines_are_cancelled_on_request(serve: Any, watcher: Watcher) -> None:
    server = serve(
        Model("m", watcher.coroutine, [FLOAT], [FLOAT], ModelConfig(cancel_coroutines=True)),
        Model("other", batch(lambda INPUT_1: [INPUT_1]), [FLOAT], [FLOAT]),
    )
    with unary_grpc(server, "m"):
        watcher.await_begin()
    watcher.await_end("CancelledError")
    assert ask(server, "other", ONE).outputs["OUTPUT_1"] == 1


def test_deadlines_of_grpc_cancel(serve: Any, watcher: Watcher) -> None:
    server = serve(Model("m", watcher.whole_batch, [FLOAT], [FLOAT]))
    with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
        server.grpc_client.infer("m", inputs_for("grpc", ONE), client_timeout=0.2)
    watcher.await_end("returned")


def test_queued_requests_are_dropped(serve: Any) -> None:
    gate, seen = Gate(), []

    @batch
    def function(INPUT_1: Array) -> Any:
        gate.pass_through()
        seen.extend(INPUT_1.ravel().tolist())
        return [INPUT_1]

    server = serve(Model("m", function, [FLOAT], [FLOAT], ModelConfig(batcher=DynamicBatcher())))
    with plugged(server, "m", gate, {"INPUT_1": rows(0)}):
        calls = []
        answered = threading.Semaphore(0)
        for value in (1, 2, 3):
            given = inputs_for("grpc", {"INPUT_1": rows(value)})
            call = server.grpc_client.async_infer("m", given, lambda result, error: answered.release())
            calls.append(call)
        wait_for_queue(server, "m", 3)
        calls[1].cancel()
        assert answered.acquire(timeout=TIMEOUT_S)
        # What follows on the same connection comes after it.
        for _ in range(5):
            assert server.grpc_client.is_server_live()
    for _ in range(2):
        assert answered.acquire(timeout=TIMEOUT_S)
    assert sorted(seen) == [0, 1, 3]


def test_http_clients_that_hang_up_harm_nobody(serve: Any) -> None:
    """The server in use does not tell that one has gone whose answer has not begun."""
    gate = Gate()

    @batch
    def function(INPUT_1: Array) -> Any:
        gate.pass_through()
        return [INPUT_1]

    server = serve(Model("m", function, [FLOAT], [FLOAT]))
    gate.shut()
    connection = http.client.HTTPConnection(LOCAL, server.http_port, timeout=TIMEOUT_S)
    connection.request("POST", "/v2/models/m/infer", json.dumps(DOCUMENT))
    gate.wait_for_arrival()
    connection.close()
    gate.open()
    assert ask(server, "m", ONE).outputs["OUTPUT_1"] == 1


def test_others_of_the_batch_are_answered(serve: Any) -> None:
    gate, cancelled, begun = Gate(), [], threading.Event()

    def function(requests: Any) -> Any:
        gate.pass_through()
        if len(requests) == 2:
            begun.set()
            wait_until(lambda: any(request.is_cancelled() for request in requests), "cancellation")
        cancelled.append([request.is_cancelled() for request in requests])
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(Model("m", function, [FLOAT], [FLOAT]))
    with plugged(server, "m", gate, ONE):
        answers: list[Any] = []
        answered = threading.Semaphore(0)

        def note(result: Any, error: Any) -> None:
            answers.append((result, error))
            answered.release()

        first = server.grpc_client.async_infer("m", inputs_for("grpc", ONE), note)
        wait_for_queue(server, "m", 1)
        server.grpc_client.async_infer("m", inputs_for("grpc", {"INPUT_1": rows(2)}), note)
        wait_for_queue(server, "m", 2)
    assert begun.wait(TIMEOUT_S)  # before that the server would take it out of its queue
    first.cancel()
    assert answered.acquire(timeout=TIMEOUT_S)
    assert answered.acquire(timeout=TIMEOUT_S)
    results = [result.as_numpy("OUTPUT_1").tolist() for result, error in answers if error is None]
    assert results == [[[2]]]
    assert sorted(cancelled[1]) == [False, True]


def test_what_functions_know_of_requests(serve: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    def function(requests: Any) -> Any:
        seen.extend((r.id, r.timeout_s, r.remaining_time_s, r.is_cancelled()) for r in requests)
        (current,) = current_batch()
        seen.append((current.id, current.timeout_s, current.remaining_time_s, current.is_cancelled()))
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(Model("m", function, [FLOAT], [FLOAT]))
    ask(server, "m", ONE, request_id="ours", timeout=2_000_000, parameters={"known": True})
    for request_id, timeout_s, remaining_s, cancelled in seen:
        assert (request_id, timeout_s, cancelled) == ("ours", 2.0, False)
        assert 1.0 < remaining_s <= 2.0
    seen.clear()
    server.infer("m", DOCUMENT)
    assert seen == [("", None, None, False)] * 2


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("kind", ["function", "generator", "coroutine", "async_generator"])
def test_the_current_batch_of_every_kind(serve: Any, kind: str, decoupled: bool) -> None:
    seen: list[Any] = []

    def note() -> None:
        found = current_batch()
        seen.append([(request.id, request.rows, request.parameters) for request in found])
        assert found.remaining_time_s is None

    def function(INPUT_1: Array) -> Any:
        note()
        return [INPUT_1]

    def generator(INPUT_1: Array) -> Iterator[Any]:
        note()
        yield [INPUT_1]

    async def coroutine(INPUT_1: Array) -> Any:
        await asyncio.sleep(0)
        note()
        return [INPUT_1]

    async def async_generator(INPUT_1: Array) -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        note()
        yield [INPUT_1]

    functions: dict[str, Callable[..., Any]] = {
        "function": function,
        "generator": generator,
        "coroutine": coroutine,
        "async_generator": async_generator,
    }
    config = ModelConfig(decoupled=decoupled)
    server = serve(Model("m", batch(functions[kind]), [FLOAT], [FLOAT], config))
    with grpc_stream(server) as opened:
        opened.send("m", {"INPUT_1": rows(1, 2)}, "ours", parameters={"known": True})
        assert opened.receive().request_id == "ours"
    assert seen == [[("ours", 2, {"known": True})]]
