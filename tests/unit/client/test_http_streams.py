# SPDX-License-Identifier: Apache-2.0
"""What streams over HTTP do with their connections, of both transports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest

from pytriton.client import DecoupledModelClient, _http_stream
from tests.helpers.http_peer import CONFIG, Heard, answer, http_peer
from tests.helpers.server import TIMEOUT_S

STREAM: Final = {**CONFIG, "model_transaction_policy": {"decoupled": True}}
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


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
    monkeypatch.setattr(_http_stream, "threading", SimpleNamespace(Lock=lambda: gaps))
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
