# SPDX-License-Identifier: Apache-2.0
"""A server that never lets a client in is left in time, and at once when that is wanted."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import (
    AsyncioDecoupledModelClient,
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    InferOptions,
    ModelClient,
    Retry,
)
from pytriton.client.exceptions import (
    PyTritonClientAbortedError,
    PyTritonClientClosedError,
    PyTritonClientConnectionError,
    PyTritonClientTimeoutError,
)
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig
from tests.helpers.http_peer import HttpPeer, answer, config_or, http_peer, tensor_answer
from tests.helpers.server import LOCAL, TIMEOUT_S
from tests.helpers.silent_peers import SilentPeer, blackhole, silent_after_connect

Place = tuple[str, SilentPeer]
_KINDS: Final[Any] = {
    "http": blackhole,
    "https": silent_after_connect,
    "grpc": blackhole,
    "grpcs": silent_after_connect,
}
_NEVER_S: Final = 10 * TIMEOUT_S
PATIENT: Final[dict[str, Any]] = {"retry": Retry(2, _NEVER_S, _NEVER_S), "inference_timeout_s": 2 * _NEVER_S}
BUSY: Final = answer({"error": "queue is full"}, "503 Service Unavailable")


@pytest.fixture(params=_KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with _KINDS[request.param]() as peer:
        yield f"{request.param}://{peer.address}", peer


def known(*, decoupled: bool = False) -> dict[str, Any]:
    """What makes a client connect for the request itself."""
    x, y = (TensorSpec(name, (-1,), np.float32) for name in "xy")
    config = TritonModelConfig("m", decoupled=decoupled, inputs=[x], outputs=[y])
    return {"model_config": config, "ensure_model_is_ready": False}


def failure_of(ask: Callable[[], Any]) -> queue.SimpleQueue[BaseException]:
    """What a function will have raised, in a thread of its own."""
    raised: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            ask()
        except BaseException as error:
            raised.put(error)

    threading.Thread(target=run, daemon=True).start()
    return raised


def is_soon(begin: float) -> bool:
    return time.monotonic() - begin < TIMEOUT_S


@pytest.mark.parametrize("how", ["client", "call"])
def test_deadlines(place: Place, how: str) -> None:
    url, _ = place
    client_s, call_s = (0.2, None) if how == "client" else (_NEVER_S, 0.2)
    begin = time.monotonic()
    with (
        ModelClient(url, "m", inference_timeout_s=client_s, **known()) as client,
        pytest.raises(PyTritonClientTimeoutError),
    ):
        client.infer_sample([1], options=InferOptions(timeout_s=call_s))
    assert is_soon(begin)


def test_the_deadline_of_all_responses_of_a_stream(place: Place) -> None:
    url, _ = place
    options, begin = InferOptions(timeout_s=0.2), time.monotonic()
    settings = {"inference_timeout_s": _NEVER_S, **known(decoupled=True)}
    with (
        DecoupledModelClient(url, "m", **settings) as client,
        pytest.raises(PyTritonClientTimeoutError) as info,
    ):
        list(client.infer_sample([1], options=options))
    assert is_soon(begin)
    assert f"{_NEVER_S:.3g} s" not in str(info.value)

    async def main() -> None:
        async with AsyncioDecoupledModelClient(url, "m", **settings) as client:
            async for _ in client.infer_sample([1], options=options):
                pass

    with pytest.raises(PyTritonClientTimeoutError) as info:
        asyncio.run(main())
    assert is_soon(begin)
    assert f"{_NEVER_S:.3g} s" not in str(info.value)


@pytest.mark.parametrize("is_known", [True, False])
def test_closing(place: Place, is_known: bool) -> None:
    url, peer = place
    client = ModelClient(
        url, "m", inference_timeout_s=_NEVER_S, init_timeout_s=_NEVER_S, **(known() if is_known else {})
    )
    raised = failure_of(lambda: client.infer_sample([1]))
    peer.wait()
    client.close()
    assert isinstance(raised.get(timeout=TIMEOUT_S), PyTritonClientClosedError)


def test_aborting(place: Place) -> None:
    url, peer = place
    with FuturesModelClient(url, "m", inference_timeout_s=_NEVER_S) as client:
        future = client.infer_sample([1])
        peer.wait()
        future.abort()
        with pytest.raises(PyTritonClientAbortedError):
            future.result(TIMEOUT_S)


def test_asyncio(place: Place) -> None:
    url, peer = place

    async def main() -> None:
        client = AsyncioModelClient(url, "m", inference_timeout_s=_NEVER_S, **known())
        with pytest.raises(PyTritonClientTimeoutError):
            await client.infer_sample([1], options=InferOptions(timeout_s=0.2))
        cancelled, closed = (asyncio.create_task(client.infer_sample([1])) for _ in range(2))
        await asyncio.to_thread(peer.wait)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await asyncio.wait_for(client.close(), TIMEOUT_S)
        with pytest.raises(PyTritonClientClosedError):
            await asyncio.wait_for(closed, TIMEOUT_S)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def several_addresses(*ports: int) -> Callable[..., Any]:
    """A resolver for which a host has several addresses."""
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOCAL, port)) for port in ports]


def test_an_address_that_leads_nowhere_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with blackhole() as peer, http_peer(config_or(lambda *_: tensor_answer(b"1234"))) as other:
        ports = [int(where.rpartition(":")[2]) for where in (peer.address, other.url)]
        monkeypatch.setattr(socket, "getaddrinfo", several_addresses(*ports))
        with ModelClient("http://example", "m", inference_timeout_s=1, **known()) as client:
            assert client.infer_sample([1])["y"].size == 1
        monkeypatch.setattr(socket, "getaddrinfo", several_addresses(*ports[:1] * 3))
        begin = time.monotonic()
        with (
            ModelClient("http://example", "m", inference_timeout_s=1, **known()) as client,
            pytest.raises(PyTritonClientTimeoutError),
        ):
            client.infer_sample([1])
        assert time.monotonic() - begin < 2


@pytest.fixture
def stuck_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A look-up of names that does not end; the event says that it has begun."""
    begun, ended, lookup = threading.Event(), threading.Event(), socket.getaddrinfo

    def stuck(host: str, port: int, *, type: int, flags: int = 0) -> Any:
        if flags & socket.AI_NUMERICHOST:
            return lookup(host, port, type=type, flags=flags)
        begun.set()
        ended.wait(_NEVER_S)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    yield begun
    ended.set()


def test_a_look_up_of_the_host_that_does_not_end(stuck_resolver: threading.Event) -> None:
    client = ModelClient("http://example:1", "m", inference_timeout_s=_NEVER_S, **known())
    with pytest.raises(PyTritonClientTimeoutError):
        client.infer_sample([1], options=InferOptions(timeout_s=0.2))
    stuck_resolver.clear()
    raised = failure_of(lambda: client.infer_sample([1]))
    assert stuck_resolver.wait(TIMEOUT_S)
    client.close()
    assert isinstance(raised.get(timeout=TIMEOUT_S), PyTritonClientClosedError)


def test_hosts_are_looked_up_without_threads_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with (
        ModelClient("localhost:1", "m", **known()) as client,
        pytest.raises(PyTritonClientConnectionError, match="nothing listens there"),
    ):
        client.infer_sample([1])


@pytest.fixture
def busy_peer() -> Iterator[tuple[HttpPeer, threading.Event]]:
    """A server that has no time, and whether it has said so."""
    said = threading.Event()

    def script(*_: Any) -> bytes:
        said.set()
        return BUSY

    with http_peer(config_or(script)) as peer:
        yield peer, said


def test_closing_between_two_tries(busy_peer: tuple[HttpPeer, threading.Event]) -> None:
    peer, said = busy_peer
    client = ModelClient(peer.url, "m", **PATIENT)
    raised = failure_of(lambda: client.infer_sample([1]))
    assert said.wait(TIMEOUT_S)
    client.close()
    assert isinstance(raised.get(timeout=TIMEOUT_S), PyTritonClientClosedError)


def test_aborting_between_two_tries(busy_peer: tuple[HttpPeer, threading.Event]) -> None:
    peer, said = busy_peer
    with FuturesModelClient(peer.url, "m", **PATIENT) as client:
        future = client.infer_sample([1])
        assert said.wait(TIMEOUT_S)
        future.abort()
        with pytest.raises(PyTritonClientAbortedError):
            future.result(TIMEOUT_S)


def test_closing_between_two_tries_of_asyncio(busy_peer: tuple[HttpPeer, threading.Event]) -> None:
    peer, said = busy_peer

    async def main() -> None:
        client = AsyncioModelClient(peer.url, "m", **PATIENT)
        asking = asyncio.create_task(client.infer_sample([1]))
        assert await asyncio.to_thread(said.wait, TIMEOUT_S)
        await client.close()
        with pytest.raises(PyTritonClientClosedError):
            await asyncio.wait_for(asking, TIMEOUT_S)

    asyncio.run(main())
