# SPDX-License-Identifier: Apache-2.0
"""Trouble while models are served: files that vanish, disks that are full, hostile workers, forks."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import PyTritonError
from pytriton.server.repository import ModelRepository
from pytriton.worker import layout
from pytriton.worker.layout import HELLO, MESSAGE
from tests.helpers.gate import Gate, wait_until
from tests.helpers.processes import server_of, watching
from tests.helpers.server import Server
from tests.helpers.vectors import Pending, answer, document, echo, gated, outputs, times
from tests.helpers.vectors import vector_model as model


def sockets_of(server: Server) -> list[Path]:
    """The socket at which the workers of the model meet the server."""
    binding = server.triton._workspace.path / "model-store" / "m" / "1" / "binding"
    lines = binding.read_text(encoding="utf-8").splitlines()
    return [Path(line.removeprefix("socket ")) for line in lines if line.startswith("socket ")]


def lose_workers(home: Path) -> None:
    """End the connections of all workers in this process."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as view:
                peer = view.getpeername() if view.family == socket.AF_UNIX else b""
                if isinstance(peer, str) and peer.startswith(str(home)):
                    view.shutdown(socket.SHUT_RDWR)


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["socket", "sockets", "workspace"])
def test_where_workers_meet_the_server_vanishes(serve: Callable[..., Server], home: Path, what: str) -> None:
    """Those that are connected do not notice, and those that come back find the server all the same."""
    server = serve(model("m", times(2)))
    (path,) = sockets_of(server)
    if what == "socket":
        path.unlink()
    else:
        shutil.rmtree(path.parent if what == "sockets" else path.parent.parent)
    assert answer(server, "m", 1) == [2]
    lose_workers(home)
    replies = []

    def is_answered() -> bool:
        replies.append(server.infer("m", document(3)))
        return replies[-1].status == 200

    wait_until(is_answered, "the worker")
    assert {reply.status for reply in replies} <= {200, 503}
    assert outputs(replies[-1]) == [6]
    model("other", times(3)).bind_to(server.triton)
    assert answer(server, "other", 1) == [3]
    server.triton.unbind("m")
    assert server.triton.is_alive()


def test_log_file_vanishes(serve: Callable[..., Server], tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    server = serve(model("m", echo), config={"log_file": log})
    log.unlink()
    assert answer(server, "m", 1) == [1]
    model("other", echo).bind_to(server.triton)
    with watching(server_of(os.getpid())) as process:
        process.kill()
        assert process.gone(20)
    wait_until(lambda: is_there(server), "another server")
    assert log.exists()
    assert answer(server, "other", 1) == [1]


def is_there(server: Server) -> bool:
    try:
        return server.infer("m", document(1)).status == 200
    except OSError:
        return False


def test_disk_is_full(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(model("m", times(2)))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ModelRepository, "_write_config", full)
        for options in ({}, {"replace": True}):
            with pytest.raises((OSError, PyTritonError), match="No space left on device"):
                model("m" if options else "new", times(3)).bind_to(server.triton, **options)
        assert answer(server, "m", 1) == [2]
        assert server.triton.is_alive()
    model("m", times(4)).bind_to(server.triton, replace=True)
    model("new", times(3)).bind_to(server.triton)
    assert [answer(server, name, 1) for name in ("m", "new")] == [[4], [3]]


# --- hostile workers --------------------------------------------------------------------------------------


@contextlib.contextmanager
def hostile(path: Path) -> Iterator[socket.socket]:
    """A connection of somebody who is no worker."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        yield connection


def hello(**changes: int) -> bytes:
    fields = {
        "magic": layout.MAGIC,
        "version": layout.PROTOCOL_VERSION,
        "capacity": 1,
        "hash": layout.layout_hash(),
        "reserved": 0,
    }
    return HELLO.pack(*(fields | changes).values())


def is_ended(connection: socket.socket) -> bool:
    """Whether the server has hung up, whatever it said before."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "greeting",
    [b"", b"x", bytes(32), os.urandom(32), hello(magic=1), hello(version=99), hello(hash=1), hello() * 1000],
    ids=["nothing", "short", "zeros", "noise", "magic", "version", "layout", "long"],
)
def test_greetings_that_are_none(serve: Callable[..., Server], greeting: bytes) -> None:
    server = serve(model("m", times(2)))
    (path,) = sockets_of(server)
    with hostile(path) as connection:
        if greeting:
            connection.send(greeting)
        else:
            connection.shutdown(socket.SHUT_WR)
        assert is_ended(connection)
    assert answer(server, "m", 1) == [2]


@pytest.mark.parametrize("kind", [0, layout.RESULT, layout.RESERVE, layout.RELEASE, layout.SYNC, 99])
@pytest.mark.parametrize("number", [0, 1, 1 << 62, (1 << 64) - 1])
def test_messages_that_are_none(serve: Callable[..., Server], kind: int, number: int) -> None:
    """A worker that breaks the protocol loses its connection, and the request that it had its worker."""
    server = serve(model("m", times(2)))
    (path,) = sockets_of(server)
    with hostile(path) as connection:
        connection.send(hello())
        connection.recv(1 << 12)
        connection.send(MESSAGE.pack(kind, 0xFFFFFFFF, number, number, number, number, number))
        assert is_ended(connection)
    assert answer(server, "m", 1) == [2]


def test_worker_that_answers_with_noise(serve: Callable[..., Server], home: Path) -> None:
    """Of many requests only the one in the hands of the hostile worker fails, with an error to try again."""
    gate = Gate()
    server = serve(model("m", gated(gate), max_batch_size=1))
    (path,) = sockets_of(server)
    random = np.random.default_rng(0)
    for _ in range(4):
        # The worker of ours is busy and its connection lost, so that there is nobody but the hostile one.
        gate.shut()
        lost = Pending(server, "m", 0)
        gate.wait_for_arrival()
        lose_workers(home)
        assert lost.reply().status == 503
        with hostile(path) as connection:
            connection.send(hello())
            connection.recv(1 << 12)
            pending = [Pending(server, "m", value) for value in range(4)]
            kind, _, slot, _, length, _, _ = MESSAGE.unpack(connection.recv(MESSAGE.size))
            assert kind == layout.EXECUTE
            where = int(random.integers(1 << 40))
            connection.send(MESSAGE.pack(layout.RESULT, layout.FINAL, slot, where, length + 1, 0, 0))
            assert is_ended(connection)
        gate.open()
        replies = [request.reply() for request in pending]
        assert sorted(reply.status for reply in replies) == [200, 200, 200, 503]
        for value, reply in enumerate(replies):
            if reply.status == 200:
                assert outputs(reply) == [value]
            else:
                assert "broke the protocol" in reply.error
                assert "can be sent again" in reply.error
    assert server.triton.is_alive()


# --- forks ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_function_forks_while_the_server_is_started_again(serve: Callable[..., Server]) -> None:
    """A child that a function leaves behind keeps neither ports nor models from the next server."""
    children: list[int] = []

    def fork(requests: list[Any]) -> list[Any]:
        if not children:
            child = os.fork()
            if child == 0:
                while True:
                    os.read(gate[0], 1)
                    os._exit(0)
            children.append(child)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    gate = os.pipe()
    try:
        server = serve(model("m", fork))
        assert answer(server, "m", 1) == [1]
        with watching(server_of(os.getpid())) as process:
            process.kill()
            assert process.gone(20)
        wait_until(lambda: is_there(server), "another server")
        assert answer(server, "m", 2) == [2]
    finally:
        os.write(gate[1], b"x")
        for child in children:
            os.waitpid(child, 0)
        for end in gate:
            os.close(end)
