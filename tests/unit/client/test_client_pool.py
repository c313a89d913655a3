# SPDX-License-Identifier: Apache-2.0
"""The threads of FuturesModelClient, when something goes wrong around them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from pytriton.client import FuturesModelClient
from pytriton.client._threads import pool as pool_module
from pytriton.client._threads.pool import Pool
from pytriton.client.exceptions import PyTritonClientClosedError, PyTritonClientError
from tests.helpers.gate import wait_until
from tests.helpers.server import TIMEOUT_S


class Plug:
    """A function that runs until it is let go."""

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.end.wait(TIMEOUT_S)


@pytest.fixture
def plug() -> Iterator[Plug]:
    plug = Plug()
    yield plug
    plug.end.set()


def fail() -> None:
    raise OSError("no luck")


def in_thread(function: Callable[..., Any], **options: Any) -> Future[Any]:
    """What a function that may never return gives in the end."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(**options))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_an_end_that_raises_ends_the_waiting_of_all_who_close(plug: Plug) -> None:
    pool = Pool(1, 1, fail)
    future = pool.submit(plug, patience_s=None)
    assert plug.begun.wait(TIMEOUT_S)
    closing = [in_thread(pool.close, wait=True) for _ in range(2)]
    wait_until(lambda: pool._closers == 2, "both wait")
    plug.end.set()
    errors = [each.exception(TIMEOUT_S) for each in closing]
    assert sorted(map(str, errors)) == ["None", "no luck"]
    assert future.done()
    pool.close(wait=True)


def test_an_end_that_raises_and_nobody_waits_for_is_told_in_the_log(
    plug: Plug, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Pool(1, 1, fail)
    pool.submit(plug, patience_s=None)
    assert plug.begun.wait(TIMEOUT_S)
    pool.close(wait=False)
    plug.end.set()
    wait_until(lambda: "no luck" in caplog.text, "what the end raised")
    assert "could not let go" in caplog.text


def test_an_end_that_raises_without_any_thread() -> None:
    pool = Pool(1, 1, fail)
    with pytest.raises(OSError, match="no luck"):
        pool.close(wait=True)
    pool.close(wait=True)


def test_who_closes_second_waits_for_the_end_too(plug: Plug) -> None:
    ending = Plug()
    pool = Pool(1, 1, ending)
    pool.submit(plug, patience_s=None)
    pool.close(wait=False)
    plug.end.set()
    assert ending.begun.wait(TIMEOUT_S)
    closing = in_thread(pool.close, wait=True)
    wait_until(lambda: pool._closers == 1, "it waits")
    assert not closing.done()
    ending.end.set()
    closing.result(TIMEOUT_S)


def test_pools_that_raise_at_exit_do_not_keep_the_others_from_ending(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    pools = [Pool(1, 1, fail), Pool(1, 1, lambda: ended.append(1)), Pool(1, 1, fail)]
    monkeypatch.setattr(pool_module, "_pools", pools)
    pool_module._abandon_all()
    assert ended == [1]
    assert len(caplog.records) == 2


def test_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FuturesModelClient("localhost:1", "m")
    with monkeypatch.context() as patch:
        no_threads(patch)
        for _ in range(300):  # more than there are places
            with pytest.raises(
                PyTritonClientError, match=r"No thread can be started .* can't start new thread"
            ):
                client.infer_sample([1])
    assert not client._pool._queue
    client.close()
    with pytest.raises(PyTritonClientClosedError):
        client.infer_sample([1])


def test_a_thread_that_is_there_does_the_work_of_one_that_cannot_be_started(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(2, 1, lambda: None)
    first = pool.submit(plug, patience_s=None)
    with monkeypatch.context() as patch:
        no_threads(patch)
        second = pool.submit(lambda: 2, patience_s=None)
    plug.end.set()
    assert (first.result(TIMEOUT_S), second.result(TIMEOUT_S)) == (None, 2)
    pool.close(wait=True)


def test_a_future_that_somebody_else_settles_while_it_waits(
    plug: Plug, caplog: pytest.LogCaptureFixture
) -> None:
    pool = Pool(1, 1, lambda: None)
    pool.submit(plug, patience_s=None)
    assert plug.begun.wait(TIMEOUT_S)
    future = pool.submit(lambda: 1, patience_s=None)
    with caplog.at_level(logging.WARNING):
        future.set_result(2)
        plug.end.set()
        assert pool.submit(lambda: 3, patience_s=None).result(TIMEOUT_S) == 3
    assert future.result(0) == 2
    assert "settled by somebody else" in caplog.text
    in_thread(pool.close, wait=True).result(TIMEOUT_S)
