# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from pytriton.exceptions import ErrorCode, PyTritonModelLoadError, PyTritonServerError
from pytriton.server.control import ControlChannel, Op

SUCCESS = -1


class Peer:
    """The backend's end of the channel."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def request(self) -> tuple[int, int, str]:
        packet = self.connection.recv(4096)
        op, number = struct.unpack_from("=II", packet)
        return op, number, packet[8:].decode()

    def reply(self, number: int, code: int, text: str = "") -> None:
        self.connection.send(struct.pack("=Ii", number, code) + text.encode())


@pytest.fixture
def pair() -> Iterator[tuple[ControlChannel, Peer]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = ControlChannel(ours, lambda: "The server is gone.")
    with theirs:
        yield channel, Peer(theirs)
        channel.close()


def test_attached(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    peer.reply(0, 0, "1.19")
    assert channel.attached.result(10) == "1.19"


def test_load(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    reply = channel.submit(Op.LOAD, "modèle")
    op, number, name = peer.request()
    assert (op, name) == (1, "modèle")
    assert not reply.done()
    peer.reply(number, SUCCESS)
    assert reply.result(10) == ""


def test_replies_in_any_order(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    replies = [channel.submit(Op.LOAD, name) for name in "abc"]
    numbers = [peer.request()[1] for _ in replies]
    for number in reversed(numbers):
        peer.reply(number, SUCCESS, f"reply to {number}")
    assert [reply.result(10) for reply in replies] == [f"reply to {number}" for number in numbers]


def test_load_failure(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    reply = channel.submit(Op.LOAD, "m")
    peer.reply(peer.request()[1], ErrorCode.INVALID_ARG, "bad config")
    with pytest.raises(PyTritonModelLoadError, match='could not load model "m": bad config') as caught:
        reply.result(10)
    assert caught.value.code is ErrorCode.INVALID_ARG


def test_other_failures(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    reply = channel.submit(Op.UNLOAD, "m")
    peer.reply(peer.request()[1], 99, "what")
    with pytest.raises(PyTritonServerError, match='could not unload model "m": what') as caught:
        reply.result(10)
    assert caught.value.code is ErrorCode.UNKNOWN


def test_counters(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair

    def answer() -> None:
        op, number, _ = peer.request()
        assert op == Op.COUNTERS
        peer.reply(number, SUCCESS, "m 1 batches=2 requests=3\nn 2 batches=0 requests=0\n")

    thread = threading.Thread(target=answer)
    thread.start()
    assert channel.counters(10) == {
        ("m", 1): {"batches": 2, "requests": 3},
        ("n", 2): {"batches": 0, "requests": 0},
    }
    thread.join()


def test_no_reply_in_time(pair: tuple[ControlChannel, Peer]) -> None:
    channel, _ = pair
    with pytest.raises(PyTritonServerError, match=r'still loading model "m" after 0\.01 s'):
        channel.load("m", 0.01)
    with pytest.raises(PyTritonServerError, match=r'still unloading model "m" after 0\.01 s'):
        channel.unload("m", 0.01)


def test_large_and_late_replies(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    reply = channel.submit(Op.COUNTERS)
    number = peer.request()[1]
    peer.reply(12345, SUCCESS, "to nobody")
    peer.reply(number, SUCCESS, "x" * 100_000)
    assert len(reply.result(10)) == 100_000


def test_end_of_file_fails_everything(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    reply = channel.submit(Op.LOAD, "m")
    peer.connection.close()
    with pytest.raises(PyTritonServerError, match=r"The server is gone\."):
        reply.result(10)
    with pytest.raises(PyTritonServerError, match=r"The server is gone\."):
        channel.attached.result(10)
    with pytest.raises(PyTritonServerError, match=r"The server is gone\."):
        channel.load("m", 10)


def test_close_is_seen_by_the_peer(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    channel.close()
    channel.close()
    assert peer.connection.recv(1) == b""


def test_many_threads(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    count = 200

    def answer() -> None:
        for _ in range(count):
            _, number, name = peer.request()
            peer.reply(number, SUCCESS, name)

    results: list[str] = []
    threads = [threading.Thread(target=answer)]
    for first in range(0, count, 50):
        names = [str(number) for number in range(first, first + 50)]
        submit = lambda names=names: results.extend(  # noqa: E731
            channel.submit(Op.LOAD, name).result(10) for name in names
        )
        threads.append(threading.Thread(target=submit))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=int) == [str(number) for number in range(count)]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_does_not_hold_the_lifeline(pair: tuple[ControlChannel, Peer]) -> None:
    channel, peer = pair
    release, hold = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold)
        os.read(release, 1)
        os._exit(0)
    os.close(release)
    channel.close()
    peer.connection.settimeout(10)
    assert peer.connection.recv(1) == b""
    os.close(hold)
    os.waitpid(child, 0)
