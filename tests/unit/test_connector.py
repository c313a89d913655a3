# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import gc
import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from pytriton.worker import layout
from pytriton.worker.channel import Block, Channel, ChannelClosed, ProtocolError
from pytriton.worker.connector import Connector, WorkerRejected
from tests.helpers.fake_backend import FakeBackend, Link


class Opening:
    """A connector that opens a channel in a thread of its own."""

    def __init__(self, path: Path, capacity: int = 1) -> None:
        self.connector = Connector(str(path), capacity=capacity)
        self._future: Future[Channel] = Future()
        self._thread = threading.Thread(target=self._open)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._future.set_result(self.connector.open())
        except BaseException as error:
            self._future.set_exception(error)

    def result(self) -> Channel:
        self._thread.join(20)
        return self._future.result(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def backend(path: Path) -> Iterator[FakeBackend]:
    made = FakeBackend(path)
    yield made
    made.close()


def test_hello_and_welcome(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path, capacity=3)
    connection = backend.accept()
    *hello, token = layout.HELLO.unpack(connection.recv(100))
    assert hello == [layout.MAGIC, layout.PROTOCOL_VERSION, 3, layout.layout_hash()]
    assert token != 0
    opening.connector.shutdown()
    connection.close()
    with pytest.raises(ChannelClosed):
        opening.result()

    opening = Opening(path)
    link = backend.attach()
    channel = opening.result()
    channel.segment.memory[100:103] = b"abc"
    assert link.memory[100:103] == b"abc"
    channel.close()


def test_leaves_when_the_server_has_all_answers(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    worker = backend.accept()
    *_, token = layout.HELLO.unpack(worker.recv(100))
    link = Link(worker, 4096, None)
    channel = opening.result()
    leaving = threading.Thread(target=opening.connector.leave)
    leaving.start()
    messenger = backend.accept()
    hello = layout.HELLO.unpack(messenger.recv(100))
    assert hello == (layout.MAGIC, layout.PROTOCOL_VERSION, 0, layout.layout_hash(), token)
    messenger.close()
    leaving.join(20)
    # The channel goes on until the server ends it; there is no other after it.
    assert channel.next_event(wait=False) is None
    link.close()
    with pytest.raises(ChannelClosed):
        channel.receive()
    with pytest.raises(ChannelClosed):
        opening.connector.open()


def test_leaves_at_once_where_nobody_listens_or_knows_how(backend: FakeBackend, path: Path) -> None:
    connector = Connector(str(path.with_name("nobody")))
    connector.leave()
    assert connector.stopped
    connector = Connector(str(path))
    leaving = threading.Thread(target=connector.leave)
    leaving.start()
    messenger = backend.accept()
    messenger.send(layout.MESSAGE.pack(layout.REJECT, 0, 0, 0, 0, 0, 0) + b"a worker takes 1 to 128 batches")
    leaving.join(20)
    assert connector.stopped
    messenger.close()


def test_waits_until_somebody_listens(path: Path) -> None:
    opening = Opening(path)
    backend = FakeBackend(path)
    backend.attach()
    opening.result().close()
    backend.close()


def test_waits_where_nobody_listens_any_more(path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(str(path))
    dead.close()
    opening = Opening(path)
    path.unlink()
    backend = FakeBackend(path)
    backend.attach()
    opening.result().close()
    backend.close()


def test_tries_again_when_the_server_hangs_up_instead_of_welcoming(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    backend.accept().close()
    backend.attach()
    opening.result().close()


def test_rejected(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    connection = backend.accept()
    connection.send(layout.MESSAGE.pack(layout.REJECT, 0, 0, 0, 0, 0, 0) + "another version, désolé".encode())
    with pytest.raises(WorkerRejected, match="refused the worker: another version, désolé"):
        opening.result()
    connection.close()


def test_anything_else_than_a_welcome(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    connection = backend.accept()
    connection.send(layout.MESSAGE.pack(layout.EXECUTE, 0, 0, 0, 0, 0, 0))
    with pytest.raises(ProtocolError, match="welcome"):
        opening.result()
    connection.close()


def test_problems_that_waiting_does_not_solve(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Connector(str(tmp_path / "file" / "s")).open()


@pytest.mark.parametrize("accepted", [False, True])
def test_shutdown_ends_waiting(backend: FakeBackend, path: Path, accepted: bool) -> None:
    opening = Opening(path if accepted else path.with_name("nobody"))
    connection = backend.accept() if accepted else None
    opening.connector.shutdown()
    with pytest.raises(ChannelClosed):
        opening.result()
    assert opening.connector.stopped
    with pytest.raises(ChannelClosed):
        opening.connector.open()
    with pytest.raises(ChannelClosed):
        opening.connector.pause()
    if connection is not None:
        connection.close()


def test_shutdown_ends_the_channel(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    backend.attach()
    channel = opening.result()
    opening.connector.shutdown()
    with pytest.raises(ChannelClosed):
        channel.receive()


def test_no_descriptors_are_left(backend: FakeBackend, path: Path) -> None:
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    opening = Opening(path)
    link = backend.attach()
    channel = opening.result()
    kept = channel.segment.export(4096, 4096)
    channel.send_result(0, Block(1, 2), 3, 4, kept)
    channel.close()
    link.close()
    del channel, opening
    del kept
    del link.memory
    assert set(os.listdir("/proc/self/fd")) <= before


def test_forked_child_leaves_the_connection_alone(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    link = backend.attach()
    channel = opening.result()
    kept = channel.segment.export(4096, 4096)
    channel.send_result(0, Block(1, 2), 3, 4, kept)
    assert link.receive().kind == layout.RESULT

    child = os.fork()
    if child == 0:
        del kept
        channel.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert link.pending() == 0
    del kept
    assert link.wait_for_release() == 0
    channel.close()


def test_the_child_of_a_forked_child_has_nothing_to_let_go_of(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    backend.attach()
    channel = opening.result()

    child = os.fork()
    if child == 0:
        sys.unraisablehook = lambda _: os._exit(1)  # what a handler of forks raises
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    assert os.waitpid(child, 0)[1] == 0
    channel.close()


def short(*_: object) -> socket.socket:
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_shortage_of_descriptors_is_told_at_first_and_waited_for_later(
    backend: FakeBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("pytriton.worker.connector._Socket", short)
        opening = Opening(path)
        with pytest.raises(OSError, match="Too many open files"):
            opening.result()

    opening = Opening(path)
    link = backend.attach()
    opening.result().close()
    link.close()
    tried = threading.Event()

    def short_once(*arguments: int) -> socket.socket:
        monkeypatch.undo()
        tried.set()
        return short(*arguments)

    monkeypatch.setattr("pytriton.worker.connector._Socket", short_once)
    again: Future[Channel] = Future()
    thread = threading.Thread(target=lambda: again.set_result(opening.connector.open()))
    thread.start()
    assert tried.wait(20)
    backend.attach()
    again.result(20).close()
    thread.join()


def test_a_welcome_whose_memory_was_dropped_is_a_shortage(backend: FakeBackend, path: Path) -> None:
    opening = Opening(path)
    connection = backend.accept()
    connection.send(layout.MESSAGE.pack(layout.WELCOME, 0, 0, 0, 4096, 0, 0))
    with pytest.raises(OSError, match="Too many open files"):
        opening.result()
    connection.close()


def test_a_socket_that_was_never_made_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    monkeypatch.setattr(socket.socket, "__init__", short)
    with pytest.raises(OSError, match="Too many open files"):
        Connector("nowhere").open()
    gc.collect()
    assert raised == []
