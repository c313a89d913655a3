# SPDX-License-Identifier: Apache-2.0
"""What streams over HTTP do with their connections, of both transports."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest

from pytriton.client import AsyncioDecoupledModelClient, DecoupledModelClient, InferOptions
from pytriton.client._base.streams import Responses
from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange
from pytriton.client._http import stream
from pytriton.client._http.connection_aio import AioConnection
from pytriton.client._http.response_times import ResponseTimes
from pytriton.client._http.stream_aio import AsyncHttpStreamCall
from pytriton.client._http.transport_aio import AsyncHttpTransport
from pytriton.client.exceptions import PyTritonClientTimeoutError
from tests.helpers.gate import wait_until
from tests.helpers.http_peer import CONFIG, Heard, answer, http_peer
from tests.helpers.server import TIMEOUT_S

STREAM: Final = {**CONFIG, "model_transaction_policy": {"decoupled": True}}
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY: Final = 100  # more events than are kept
COUNT: Final = 200


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def events(count: int) -> bytes:
    return b"".join(chunk(b'data: {"y": %d}\n\n' % number) for number in range(count))


def streaming(heard: Heard, _: object) -> bytes:
    return answer(STREAM) if heard.path.endswith("/config") else HEAD + events(1) + chunk(b"")


class Gaps:
    """A lock that has something done by another thread when it has been released for the nth time."""

    def __init__(self) -> None:
        self.left = 0
        self.act: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self.left -= 1
        if self.left == 0:
            other = threading.Thread(target=self.act)
            other.start()
            other.join(TIMEOUT_S)


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_a_stream_that_is_closed_as_it_ends_gives_its_connection_back_once(
    monkeypatch: pytest.MonkeyPatch, gap: int
) -> None:
    gaps = Gaps()
    monkeypatch.setattr(stream, "threading", SimpleNamespace(Lock=lambda: gaps))
    given: list[object] = []
    with http_peer(streaming) as peer, DecoupledModelClient(peer.url, "m") as client:
        responses = client.infer_sample([1])
        transport: Any = client._transport
        give_back = transport.give_back

        def spy(connection: object, **how: Any) -> None:
            given.append(connection)
            give_back(connection, **how)

        monkeypatch.setattr(transport, "give_back", spy)
        assert next(responses)["y"] == 0
        gaps.left, gaps.act = gap, responses.close
        with pytest.raises(StopIteration):
            next(responses)
        responses.close()
        assert len(given) == 1
        assert [outputs["y"].item() for outputs in client.infer_sample([1])] == [0]


class Wire(asyncio.Transport):
    """A connection's other side, which only notes whether it is read."""

    _is_read = True

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self._is_read = False

    def resume_reading(self) -> None:
        self._is_read = True

    def is_reading(self) -> bool:
        return self._is_read


def streams_on_one_wire() -> tuple[Wire, AioConnection, Callable[[], AsyncHttpStreamCall]]:
    """A connection, and what begins a stream on it."""
    wire = Wire()
    connection = AioConnection(asyncio.get_running_loop())
    connection.connection_made(wire)

    def begin() -> AsyncHttpStreamCall:
        command = Exchange(ops.Generate("m", "", {}), TIMEOUT_S, {}, "m")
        times = ResponseTimes(command, None, 0)
        call = AsyncHttpStreamCall(connection, "m", times, lambda error, _: error, lambda _: None)
        connection.send([], call)
        return call

    return wire, connection, begin


def test_a_connection_is_read_again_once_its_stream_has_come_to_its_end() -> None:
    async def main() -> None:
        wire, connection, begin = streams_on_one_wire()
        call = begin()
        connection.data_received(HEAD + events(MANY))
        assert not wire.is_reading()
        connection.data_received(events(MANY) + chunk(b""))  # TLS may hand out what it has though paused
        assert wire.is_reading()
        for _ in range(2 * MANY):
            assert await call.read() is not None
            assert wire.is_reading()
        assert await call.read() is None

    asyncio.run(main())


def test_a_stream_that_is_complete_leaves_its_connection_to_the_next() -> None:
    async def main() -> None:
        wire, connection, begin = streams_on_one_wire()
        first = begin()
        connection.data_received(HEAD + events(2 * MANY) + chunk(b""))
        second = begin()
        connection.data_received(HEAD + events(MANY))
        assert not wire.is_reading()
        for _ in range(2 * MANY):
            await first.read()
            assert not wire.is_reading()
        for _ in range(MANY):
            await second.read()
        assert wire.is_reading()

    asyncio.run(main())


def test_the_streams_of_an_asyncio_client_leave_no_more_connections_open_than_its_pool_has() -> None:
    count = 140
    together = threading.Barrier(count)

    def script(heard: Heard, connection: socket.socket) -> bytes:
        if not heard.path.endswith("/config"):
            together.wait(TIMEOUT_S)
        return streaming(heard, connection)

    async def read(client: AsyncioDecoupledModelClient) -> list[float]:
        return [outputs["y"].item() async for outputs in client.infer_sample([1])]

    async def main(url: str) -> None:
        async with AsyncioDecoupledModelClient(url, "m") as client:
            for _ in range(2):
                assert await asyncio.gather(*(read(client) for _ in range(count))) == [[0]] * count

    with http_peer(script) as peer:
        asyncio.run(main(peer.url))
        assert peer.connections == count + (count - 128)


def counting(heard: Heard, connection: socket.socket) -> bytes:
    """A stream that counts, an event in a packet, so that readers have to wait for each."""
    if heard.path.endswith("/config"):
        return answer(STREAM)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(HEAD)
    for number in range(COUNT):
        connection.sendall(chunk(b'data: {"y": %d}\n\n' % number))
    return chunk(b"")


def test_threads_may_share_a_stream() -> None:
    with http_peer(counting) as peer, DecoupledModelClient(peer.url, "m") as client:
        assert_threads_share(client.infer_sample([1]))


def assert_threads_share(responses: Responses) -> None:
    """Every response goes to one of the threads, which all come to the end."""
    got: queue.SimpleQueue[list[float]] = queue.SimpleQueue()

    def read() -> None:
        got.put([outputs["y"].item() for outputs in responses])

    for _ in range(4):
        threading.Thread(target=read, daemon=True).start()
    found = [got.get(timeout=TIMEOUT_S) for _ in range(4)]
    assert sorted(number for numbers in found for number in numbers) == list(range(COUNT))
    assert all(numbers == sorted(numbers) for numbers in found)


def test_closing_a_stream_ends_the_waiting_of_all_its_threads() -> None:
    ended = threading.Event()

    def script(heard: Heard, connection: socket.socket) -> bytes:
        if heard.path.endswith("/config"):
            return answer(STREAM)
        connection.sendall(HEAD)
        ended.wait(TIMEOUT_S)
        return b""

    with http_peer(script) as peer, DecoupledModelClient(peer.url, "m") as client:
        responses = client.infer_sample([1])
        got: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(3):
            threading.Thread(target=lambda: got.put(list(responses)), daemon=True).start()
        wait_until(lambda: responses._turn.locked(), "one of them reads")
        responses.close()
        assert [got.get(timeout=TIMEOUT_S) for _ in range(3)] == [[]] * 3
        ended.set()


def test_tasks_may_share_a_stream() -> None:
    async def main(url: str) -> None:
        async with AsyncioDecoupledModelClient(url, "m") as client:
            responses = client.infer_sample([1])

            async def read() -> list[float]:
                return [outputs["y"].item() async for outputs in responses]

            found = await asyncio.wait_for(asyncio.gather(*(read() for _ in range(4))), TIMEOUT_S)
            assert sorted(number for numbers in found for number in numbers) == list(range(COUNT))

    with http_peer(counting) as peer:
        asyncio.run(main(peer.url))
        assert [heard.path.rpartition("/")[2] for heard in peer.heard] == ["config", "generate_stream"]


def test_a_stream_that_is_closed_before_it_has_begun_is_not_sent() -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def script(heard: Heard, connection: socket.socket) -> bytes:
        asked.set()
        may_answer.wait(TIMEOUT_S)
        return streaming(heard, connection)

    async def main(url: str) -> None:
        async with AsyncioDecoupledModelClient(url, "m") as client:
            responses = client.infer_sample([1])

            async def read() -> list[object]:
                return [outputs async for outputs in responses]

            reading = asyncio.create_task(read())
            assert await asyncio.to_thread(asked.wait, TIMEOUT_S)
            await responses.aclose()
            may_answer.set()
            assert await asyncio.wait_for(reading, TIMEOUT_S) == []

    with http_peer(script) as peer:
        asyncio.run(main(peer.url))
        assert [heard.path for heard in peer.heard] == ["/v2/models/m/config"]


def test_a_late_stream_says_the_time_that_was_given_though_connecting_took_some_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take, ended = AsyncHttpTransport._take, threading.Event()

    async def take_long(transport: AsyncHttpTransport, deadline: float) -> AioConnection:
        begin = time.monotonic()
        while time.monotonic() < begin + 0.01:
            await asyncio.sleep(0)
        return await take(transport, deadline)

    def script(heard: Heard, connection: socket.socket) -> bytes:
        if heard.path.endswith("/config"):
            return answer(STREAM)
        connection.sendall(HEAD + events(1))
        ended.wait(TIMEOUT_S)
        return b""

    async def read(url: str) -> None:
        async with AsyncioDecoupledModelClient(url, "m") as client:
            async for outputs in client.infer_sample([1], options=InferOptions(timeout_s=0.3)):
                assert outputs["y"] == 0

    monkeypatch.setattr(AsyncHttpTransport, "_take", take_long)
    with http_peer(script) as peer:
        late = pytest.raises(PyTritonClientTimeoutError, match=r"not all responses.*within the 0\.3 s")
        with late, DecoupledModelClient(peer.url, "m") as client:
            list(client.infer_sample([1], options=InferOptions(timeout_s=0.3)))
        with late:
            asyncio.run(read(peer.url))
        ended.set()


def test_a_stream_whose_length_is_told_has_its_events() -> None:
    body = b"".join(b'data: {"y": %d}\n\n' % number for number in range(COUNT))

    def script(heard: Heard, connection: socket.socket) -> bytes | None:
        if heard.path.endswith("/config"):
            return answer(STREAM)
        whole = answer(body=body, headers="Content-Type: text/event-stream\r\n")
        connection.sendall(whole[: len(whole) // 2])
        return whole[len(whole) // 2 :]

    async def read(url: str) -> list[float]:
        async with AsyncioDecoupledModelClient(url, "m") as client:
            return [outputs["y"].item() async for outputs in client.infer_sample([1])]

    with http_peer(script) as peer:
        with DecoupledModelClient(peer.url, "m") as client:
            assert [outputs["y"].item() for outputs in client.infer_sample([1])] == list(range(COUNT))
        assert asyncio.run(read(peer.url)) == list(range(COUNT))
