# SPDX-License-Identifier: Apache-2.0
"""FuturesModelClient, when callbacks of its futures raise, close the client or send more."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import FuturesModelClient
from pytriton.client._threads.future import AbortableFuture
from pytriton.client.exceptions import PyTritonClientQueueFullError
from tests.helpers.http_peer import HttpPeer, config_or, http_peer, tensor_answer
from tests.helpers.server import TIMEOUT_S

ONE: Final = np.float32(1).tobytes()


@pytest.fixture
def may_answer() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def peer(may_answer: threading.Event) -> Iterator[HttpPeer]:
    def reply(*_: Any) -> bytes:
        may_answer.wait(TIMEOUT_S)
        return tensor_answer(ONE)

    with http_peer(config_or(reply)) as peer:
        yield peer


def in_thread(function: Callable[[], Any]) -> Any:
    """The result of a function that may never return."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=lambda: results.put(function()), daemon=True).start()
    return results.get(timeout=TIMEOUT_S)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), ValueError("no")])
def test_callbacks_that_raise(peer: HttpPeer, may_answer: threading.Event, error: BaseException) -> None:
    client = FuturesModelClient(peer.url, "m", max_workers=1)
    called: list[Any] = []

    def fail(future: Future[Any]) -> None:
        raise error

    future = client.infer_sample([1])
    future.add_done_callback(fail)
    future.add_done_callback(called.append)
    may_answer.set()
    assert future.result(TIMEOUT_S)["y"] == 1
    assert client.infer_sample([1]).result(TIMEOUT_S)["y"] == 1
    assert called == [future]
    in_thread(client.close)


def test_callbacks_that_raise_in_the_thread_that_adds_them() -> None:
    future: AbortableFuture[int] = AbortableFuture()
    future.settle(lambda: 1)

    def fail(_: Future[int]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        future.add_done_callback(fail)


def test_a_future_that_somebody_else_has_settled() -> None:
    future: AbortableFuture[int] = AbortableFuture()

    def function() -> int:
        future.set_result(2)
        return 1

    future.settle(function)
    assert future.result(0) == 2


def test_closing_in_a_callback(peer: HttpPeer, may_answer: threading.Event) -> None:
    client = FuturesModelClient(peer.url, "m", max_workers=1)
    future, waiting = client.infer_sample([1]), client.infer_sample([1])
    future.add_done_callback(lambda _: client.close())
    may_answer.set()
    assert waiting.result(TIMEOUT_S)["y"] == 1
    in_thread(client.close)


def test_sending_in_a_callback(peer: HttpPeer, may_answer: threading.Event) -> None:
    client = FuturesModelClient(peer.url, "m", max_workers=1, max_queue_size=1)
    sent: list[Any] = []
    errors: queue.SimpleQueue[Exception] = queue.SimpleQueue()

    def send(future: Future[Any]) -> None:
        try:
            for _ in range(2):
                sent.append(client.infer_sample([1]))
        except Exception as error:
            errors.put(error)

    client.infer_sample([1]).add_done_callback(send)
    may_answer.set()
    error = errors.get(timeout=TIMEOUT_S)
    assert isinstance(error, PyTritonClientQueueFullError)
    assert "Queue is full" in str(error)
    assert "in a thread of the client itself" in str(error)
    assert [future.result(TIMEOUT_S)["y"] for future in sent] == [1]
    in_thread(client.close)


def test_sending_in_a_callback_of_another_client(peer: HttpPeer, may_answer: threading.Event) -> None:
    limits: Any = {"max_workers": 1, "max_queue_size": 1}
    with FuturesModelClient(peer.url, "m", **limits) as one, FuturesModelClient(peer.url, "m") as other:
        sent: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def send(future: Future[Any]) -> None:
            for _ in range(5):
                sent.put(one.infer_sample([1]))

        other.infer_sample([1]).add_done_callback(send)
        may_answer.set()
        assert [sent.get(timeout=TIMEOUT_S).result(TIMEOUT_S)["y"] for _ in range(5)] == [1] * 5


@pytest.mark.parametrize(("settings", "patience_s"), [({}, 60), ({"inference_timeout_s": 2}, 2)])
def test_patience_with_a_full_queue(settings: Any, patience_s: float, monkeypatch: Any) -> None:
    patience: list[Any] = []
    with FuturesModelClient("localhost:1", "m", **settings) as client:
        monkeypatch.setattr(
            client._pool, "submit", lambda function, *, patience_s, blocking: patience.append(patience_s)
        )
        client.infer_sample([1])
    assert patience == [patience_s]
