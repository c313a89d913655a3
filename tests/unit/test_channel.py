# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from pytriton.worker import layout
from pytriton.worker.channel import Block, Channel, ChannelClosed, Execute, MemoryRefused, ProtocolError, shut
from pytriton.worker.memory import Segment
from tests.helpers.fake_backend import Link

SIZE = 1 << 20


class Pair:
    """A channel and the server's end of it."""

    def __init__(self) -> None:
        server, self.worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link = Link(server, SIZE, None)
        _, (descriptor,), _, _ = socket.recv_fds(self.worker, layout.MESSAGE.size, 1)
        self.channel = Channel(self.worker, Segment(descriptor, SIZE))
        os.close(descriptor)

    def close(self) -> None:
        self.link.close()
        self.worker.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_receive_and_answer(pair: Pair) -> None:
    pair.link.send(layout.EXECUTE, 5, 4096, 8192)
    assert pair.channel.receive() == Execute(5, 4096, 8192)
    pair.channel.send_result(5, Block(1, 2), 3, 4)
    assert pair.link.receive() == (layout.RESULT, layout.FINAL | layout.RELEASED, 5, 1, 2, 3, 4)
    assert pair.link.pending() == 0


def test_release_follows_when_arrays_are_kept(pair: Pair) -> None:
    kept = pair.channel.segment.export(4096, 8192)
    pair.channel.send_result(5, Block(1, 2), 3, 4, kept)
    assert pair.link.receive().flags == layout.FINAL
    assert pair.link.pending() == 0
    del kept
    assert pair.link.receive() == (layout.RELEASE, 0, 5, 0, 0, 0, 0)
    assert pair.link.pending() == 0


def test_release_from_another_thread(pair: Pair) -> None:
    kept = [pair.channel.segment.export(4096, 8192) for _ in range(100)]
    for slot in range(100):
        pair.channel.send_result(slot, Block(1, 2), 3, 4, kept[slot])
        assert pair.link.receive().slot == slot
    thread = threading.Thread(target=kept.clear)
    thread.start()
    assert {pair.link.wait_for_release() for _ in range(100)} == set(range(100))
    thread.join()
    assert pair.link.pending() == 0


def test_reserve(pair: Pair) -> None:
    pair.link.send(layout.RESERVED, 5, 4096, 8192)
    assert pair.channel.reserve(5, 5000) == Block(4096, 8192)
    request = pair.link.receive()
    assert (request.kind, request.slot, request.length) == (layout.RESERVE, 5, 5000)


def test_batches_that_come_before_memory_are_not_lost(pair: Pair) -> None:
    pair.link.send(layout.EXECUTE, 6, 1, 2)
    pair.link.send(layout.EXECUTE, 7, 3, 4)
    pair.link.send(layout.RESERVED, 5, 4096, 8192)
    pair.channel.reserve(5, 5000)
    pair.link.send(layout.EXECUTE, 8, 5, 6)
    assert [pair.channel.receive().slot for _ in range(3)] == [6, 7, 8]


def test_refused(pair: Pair) -> None:
    pair.link.send(layout.REFUSED, 5, 7000, 1000)
    with pytest.raises(MemoryRefused, match=r"5000 bytes .* 1000 bytes") as caught:
        pair.channel.reserve(5, 5000)
    assert (caught.value.wanted, caught.value.need, caught.value.limit) == (5000, 7000, 1000)


@pytest.mark.parametrize(("kind", "slot"), [(layout.RESERVED, 6), (layout.WELCOME, 5), (99, 5)])
def test_messages_that_make_no_sense(pair: Pair, kind: int, slot: int) -> None:
    pair.link.send(kind, slot)
    with pytest.raises(ProtocolError, match=f"kind {kind} "):
        pair.channel.reserve(5, 5000)
    pair.link.send(kind)
    with pytest.raises(ProtocolError, match="where a batch was expected"):
        pair.channel.receive()


def test_short_messages(pair: Pair) -> None:
    pair.link.socket.send(b"abc")
    with pytest.raises(ProtocolError, match="3 bytes"):
        pair.channel.receive()


def test_end_of_file(pair: Pair) -> None:
    kept = pair.channel.segment.export(4096, 8192)
    pair.link.close()
    with pytest.raises(ChannelClosed):
        pair.channel.receive()
    with pytest.raises(ChannelClosed):
        pair.channel.reserve(5, 5000)
    pair.channel.send_result(5, Block(1, 2), 3, 4, kept)
    pair.channel.close()
    del kept


def test_connection_reset(pair: Pair) -> None:
    # Data that the peer never read turns its end of file into a reset.
    pair.worker.send(bytes(layout.MESSAGE.size))
    pair.link.close()
    with pytest.raises(ChannelClosed):
        pair.channel.receive()


def test_shutting_wakes_a_blocked_receiver(pair: Pair) -> None:
    woken = threading.Event()

    def receive() -> None:
        with pytest.raises(ChannelClosed):
            pair.channel.receive()
        woken.set()

    thread = threading.Thread(target=receive)
    thread.start()
    shut(pair.worker)
    assert woken.wait(20)
    thread.join()
    shut(pair.worker)


def test_closing_forgets_leases(pair: Pair) -> None:
    kept = pair.channel.segment.export(4096, 8192)
    pair.channel.send_result(5, Block(1, 2), 3, 4, kept)
    pair.channel.close()
    kept[:] = 1
    del kept
    assert pair.link.receive().kind == layout.RESULT
    with pytest.raises(EOFError):
        pair.link.receive()
