# SPDX-License-Identifier: Apache-2.0
"""Somebody dies: the program, its server, a worker, a client. The others go on, or go as well."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import (
    PyTritonError,
    PyTritonRuntimeError,
    PyTritonServerError,
    PyTritonUnrecoverableError,
)
from pytriton.triton import RestartPolicy, Triton
from tests.helpers.clients import inputs_for
from tests.helpers.gate import Gate, wait_for_queue, wait_until
from tests.helpers.processes import descriptors, server_of, servers_of, watching
from tests.helpers.program import started
from tests.helpers.server import LOCAL, Server
from tests.helpers.vectors import TIMEOUT_S, Pending, answer, document, echo, gated
from tests.helpers.vectors import vector_model as model

GONE_S = 2.0


def serve_in_a_thread(server: Server) -> queue.SimpleQueue[PyTritonError | None]:
    """What serve() ends with, as soon as it has ended."""
    ends: queue.SimpleQueue[PyTritonError | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            server.triton.serve()
        except PyTritonError as error:
            ends.put(error)
        else:
            ends.put(None)

    threading.Thread(target=run, daemon=True).start()
    return ends


# --- the program ------------------------------------------------------------------------------------------


def test_program_is_killed(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        # The first is in work, the other waits for its turn.
        pending = [Pending(program.address, "gated", 1)]
        program.expect("working")
        pending.append(Pending(program.address, "gated", 2))
        wait_for_queue(program.address, "gated", 1)
        program.signal(signal.SIGKILL)
        assert program.left_behind(GONE_S) == []
        assert program.wait() == -signal.SIGKILL
        for request in pending:
            reply = request.reply()
            assert reply.status == 503
            assert "went away" in reply.error or "has ended" in reply.error


def test_program_is_killed_while_its_server_is_stopped(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        assert program.server is not None
        program.server.kill(signal.SIGSTOP)
        program.signal(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL
        program.server.kill(signal.SIGCONT)
        assert program.left_behind(GONE_S) == []


def test_program_is_killed_together_with_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by the end of a container: nobody is left who could remove its files, but its successor."""
    with started("serves", tmp_path) as program:
        assert program.server is not None
        program.server.kill(signal.SIGSTOP)
        program.signal(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL
        program.server.kill()
        assert program.server.gone(TIMEOUT_S)
        (workspace,) = tmp_path.iterdir()
        monkeypatch.setenv("PYTRITON_HOME", str(tmp_path))
        triton = Triton()
        assert not workspace.exists()
        triton.stop()
        assert program.left_behind() == []


def test_program_with_sockets_elsewhere_is_killed(tmp_path: Path) -> None:
    def elsewhere() -> set[Path]:
        return {path for path in Path("/tmp").glob("pytriton-*") if str(path) in bindings()}

    def bindings() -> str:
        return " ".join(path.read_text() for path in home.glob("*/model-store/*/1/binding"))

    # Deeper than the address of a socket can be.
    home = tmp_path / ("d" * 100)
    with started("serves", home) as program:
        (sockets,) = elsewhere()
        program.signal(signal.SIGKILL)
        assert program.left_behind(GONE_S) == []
        assert not sockets.exists()


def test_program_is_killed_while_its_server_starts(tmp_path: Path) -> None:
    with started("serves", tmp_path, half_started=True) as program:
        program.signal(signal.SIGKILL)
        assert program.left_behind(GONE_S) == []


def test_program_is_killed_while_its_children_live(tmp_path: Path) -> None:
    with started("has_children", tmp_path) as program, contextlib.ExitStack() as stack:
        children = [stack.enter_context(watching(int(program.expect("child")))) for _ in range(2)]
        pending = Pending(program.address, "gated", 1)
        program.expect("working")
        program.signal(signal.SIGKILL)
        assert program.left_behind(GONE_S) == []
        assert not any(child.gone(0) for child in children)
        assert pending.reply().status == 503


def test_program_is_killed_while_it_answers(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        statuses: list[int] = []
        enough = threading.Semaphore(0)

        def ask() -> None:
            with contextlib.suppress(OSError):
                while True:
                    statuses.append(program.address.infer("double", document(1)).status)
                    enough.release()

        clients = [threading.Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        for _ in range(100):
            assert enough.acquire(timeout=TIMEOUT_S)
        program.signal(signal.SIGKILL)
        assert program.left_behind(GONE_S) == []
        for client in clients:
            client.join(TIMEOUT_S)
            assert not client.is_alive()
        assert set(statuses) <= {200, 503}


def test_server_keeps_its_lifeline_to_itself(serve: Callable[..., Server]) -> None:
    serve(model("m", echo))
    server = server_of(os.getpid())
    variables = Path(f"/proc/{server}/environ").read_bytes().split(b"\0")
    (line,) = (variable for variable in variables if variable.startswith(b"PYTRITON_CONTROL_FD="))
    info = Path(f"/proc/{server}/fdinfo/{line.decode().partition('=')[2]}").read_text(encoding="ascii")
    (flags,) = (entry.split()[1] for entry in info.splitlines() if entry.startswith("flags:"))
    assert int(flags, 8) & os.O_CLOEXEC


# --- the server -------------------------------------------------------------------------------------------


def test_server_is_killed_for_good(serve: Callable[..., Server]) -> None:
    gate = Gate()
    gate.shut()
    server = serve(model("gated", gated(gate)), restart_policy=RestartPolicy(max_restarts=0))
    failures = serve_in_a_thread(server)
    pending = [Pending(server, "gated", value) for value in range(3)]
    gate.wait_for_arrival()
    with watching(server_of(os.getpid())) as process:
        process.kill()
        assert process.gone(TIMEOUT_S)
    for request in pending:
        with pytest.raises(OSError):  # noqa: PT011 (reset or refused)
            request.reply()
    gate.open()
    assert str(failures.get(timeout=TIMEOUT_S)) == "The Triton server was killed by SIGKILL."
    assert not server.triton.is_alive()
    assert not server.triton.stop()
    server.triton.run()
    assert answer(server, "gated", 1, 2) == [1, 2]


def test_serve_tells_of_a_death_before_it(serve: Callable[..., Server]) -> None:
    server = serve(model("m", echo), restart_policy=RestartPolicy(max_restarts=0))
    with watching(server_of(os.getpid())) as process:
        process.kill()
        assert process.gone(TIMEOUT_S)
    wait_until(lambda: not server.triton.is_alive(), "the end of the server")
    with pytest.raises(PyTritonServerError, match="was killed by SIGKILL"):
        server.triton.serve()
    assert servers_of(os.getpid()) == []
    # It has been told.
    ends = serve_in_a_thread(server)
    wait_until(server.triton.is_connected, "another server")
    assert answer(server, "m", 1) == [1]
    server.triton.stop()
    assert ends.get(timeout=TIMEOUT_S) is None


def test_run_starts_anew_after_a_death(serve: Callable[..., Server]) -> None:
    server = serve(model("m", echo), restart_policy=RestartPolicy(max_restarts=0))
    with watching(server_of(os.getpid())) as process:
        process.kill()
        assert process.gone(TIMEOUT_S)
    wait_until(lambda: not server.triton.is_alive(), "the end of the server")
    server.triton.run()
    assert answer(server, "m", 1) == [1]


def test_serve_tells_of_an_unrecoverable_error_before_it(serve: Callable[..., Server]) -> None:
    def fail(_requests: list[Any]) -> list[Any]:
        raise PyTritonUnrecoverableError("no more of this")

    server = serve(model("m", fail))
    assert server.infer("m", document(1)).status == 500
    wait_until(lambda: not server.triton.is_alive(), "the end of the workers")
    with pytest.raises(PyTritonRuntimeError, match="no more of this"):
        server.triton.serve()
    assert servers_of(os.getpid()) == []


def test_program_lives_on_when_its_server_is_killed(tmp_path: Path) -> None:
    with started("serves_and_fails", tmp_path) as program:
        assert program.server is not None
        program.server.kill()
        assert program.expect("raised") == "PyTritonServerError The Triton server was killed by SIGKILL."
        assert program.expect("alive") == "False"
        assert program.left_behind() == []
        program.go_on()
        assert program.wait() == 0


def test_unrecoverable_error(tmp_path: Path) -> None:
    with started("serves_and_fails", tmp_path) as program:
        reply = program.address.infer("unrecoverable", document(1))
        assert reply.status == 500
        assert "PyTritonUnrecoverableError: no more of this" in reply.error
        raised = program.expect("raised")
        assert 'The workers of model "unrecoverable" ended: no more of this' in raised
        assert program.left_behind() == []
        program.go_on()
        assert program.wait() == 0


def test_server_stops_answering(serve: Callable[..., Server]) -> None:
    server = serve(model("m", echo))
    with watching(server_of(os.getpid())) as process:
        process.kill(signal.SIGSTOP)
        pending = Pending(server, "m", 1)
        assert server.triton.is_alive()
        process.kill(signal.SIGCONT)
        assert pending.reply().status == 200


# --- a worker ---------------------------------------------------------------------------------------------


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


def _worker_sockets(path: str) -> Iterator[int]:
    """Descriptors of this process that are connected to a socket of a workspace."""
    for number in range(3, 256):
        if not _is_socket(number):
            continue
        view = socket.socket(fileno=os.dup(number))
        with view, contextlib.suppress(OSError):
            peer = view.getpeername() if view.family == socket.AF_UNIX else ""
            if isinstance(peer, str) and peer.startswith(path):
                yield number


@pytest.mark.parametrize("how", ["shut", "replace"])
def test_function_ends_its_own_connection(
    how: str, serve: Callable[..., Server], home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hostile = True

    def function(requests: list[Any]) -> list[Any]:
        nonlocal hostile
        if hostile:
            hostile = False
            for number in _worker_sockets(str(home)):
                if how == "replace":
                    with Path(os.devnull).open("rb") as null:
                        os.dup2(null.fileno(), number)
                else:
                    with socket.socket(fileno=os.dup(number)) as view:
                        view.shutdown(socket.SHUT_RDWR)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(model("m", function))
    reply = server.infer("m", document(1, 2))
    assert reply.status == 503
    assert "the worker that held this request went away; the request can be sent again" in reply.error
    assert answer(server, "m", 1, 2) == [1, 2]
    assert server.triton.is_alive()
    caplog.clear()  # a traceback in it holds the memory of the connection


def test_one_of_several_workers_ends_its_connection(serve: Callable[..., Server], home: Path) -> None:
    server = serve(model("m", [echo, echo, echo]))
    for number in list(_worker_sockets(str(home)))[:1]:
        with socket.socket(fileno=os.dup(number)) as view:
            view.shutdown(socket.SHUT_RDWR)
    # At most the one that the server gave to it before it noticed.
    pending = [Pending(server, "m", value) for value in range(16)]
    assert sorted(request.reply().status for request in pending)[:15] == [200] * 15
    pending = [Pending(server, "m", value) for value in range(16)]
    assert [request.reply().status for request in pending] == [200] * 16


def test_worker_thread_vanishes(serve: Callable[..., Server]) -> None:
    threads: list[int] = []

    def function(requests: list[Any]) -> list[Any]:
        threads.append(threading.get_ident())
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(model("m", function), model("other", echo))
    failures = serve_in_a_thread(server)
    assert answer(server, "m", 1) == [1]
    # Raised when the thread comes back from waiting, outside of the function.
    exception = ctypes.py_object(KeyboardInterrupt)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threads[0]), exception) == 1
    reply = server.infer("m", document(1))
    assert reply.status == 503
    assert str(failures.get(timeout=TIMEOUT_S)) == 'The workers of model "m" ended: KeyboardInterrupt()'
    assert not server.triton.is_alive()
    with pytest.raises(ConnectionRefusedError):
        server.get("/v2/health/live")


# --- a client ---------------------------------------------------------------------------------------------


def test_client_leaves_in_the_middle_of_its_request(serve: Callable[..., Server]) -> None:
    server = serve(model("m", echo))
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: {LOCAL}\r\nContent-Length: 1000\r\n\r\n"
    for body in ("", '{"inputs": [', "x" * 999):
        with socket.create_connection((LOCAL, server.http_port)) as client:
            client.sendall((head + body).encode())
    assert answer(server, "m", 1, 2) == [1, 2]


def test_client_leaves_before_its_answer(serve: Callable[..., Server]) -> None:
    gate = Gate()
    server = serve(model("gated", gated(gate)))
    body = '{"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}'
    head = f"POST /v2/models/gated/infer HTTP/1.1\r\nHost: {LOCAL}\r\nContent-Length: {len(body)}\r\n\r\n"
    held = descriptors(server_of(os.getpid()))
    for _ in range(5):
        gate.shut()
        with socket.create_connection((LOCAL, server.http_port)) as client:
            client.sendall((head + body).encode())
            gate.wait_for_arrival()
        gate.open()
    assert answer(server, "gated", 1, 2) == [1, 2]
    assert descriptors(server_of(os.getpid())) <= held + 8


def test_grpc_client_cancels(serve: Callable[..., Server]) -> None:
    gate = Gate()
    server = serve(model("gated", gated(gate)))
    gate.shut()
    ended = threading.Event()
    inputs = inputs_for("grpc", {"INPUT_1": np.ones((1, 2), np.float32)})
    call = server.grpc_client.async_infer("gated", inputs, lambda result, error: ended.set())
    gate.wait_for_arrival()
    call.cancel()
    assert ended.wait(TIMEOUT_S)
    gate.open()
    assert answer(server, "gated", 1, 2) == [1, 2]
