# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytriton.exceptions import PyTritonServerError
from pytriton.server.ports import Endpoint, PortTakenError
from pytriton.server.process import ServerProcess, StopResult
from tests.helpers.gate import wait_until
from tests.helpers.leaks import no_leaks

PREAMBLE = """
import os, signal, socket, struct, sys, time
control = socket.socket(fileno=int(os.environ["PYTRITON_CONTROL_FD"]))
def attach(): control.send(struct.pack("=Ii", 0, 0) + b"1.19")
def listen(port): server = socket.create_server(("127.0.0.1", port)); return server
def serve():
    while control.recv(4096): pass
"""
ATTACH_AND_SERVE = "attach()\nserver = listen(int(sys.argv[1]))\nserve()"


class Servers:
    """Makes processes of little programs that behave like a server, and ends them."""

    def __init__(self) -> None:
        self.made: list[ServerProcess] = []
        self.exits: list[ServerProcess] = []
        self.exited = threading.Event()

    def make(self, program: str, port: int, *, log_file: Path | None = None) -> ServerProcess:
        process = ServerProcess(
            [sys.executable, "-uc", PREAMBLE + program, str(port)],
            [Endpoint("HTTP", "http", "127.0.0.1", port)],
            environment={"PYTRITON_WORKSPACE": "/w"},
            log_file=log_file,
            on_exit=self.exited.set,
        )
        self.made.append(process)
        return process


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    with no_leaks():
        yield made
        for process in made.made:
            process.kill()
            assert not process.is_alive()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_running(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


def test_start_and_stop(servers: Servers, port: int) -> None:
    process = servers.make(f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n{ATTACH_AND_SERVE}", port)
    assert not process.is_alive()
    process.start()
    assert process.is_alive()
    with socket.create_connection(("127.0.0.1", port)):
        pass
    assert process.stop() is StopResult.EXITED
    assert not is_running(process.pid)
    assert process.stop() is StopResult.WAS_GONE
    assert not servers.exited.is_set()


def test_environment_and_session(servers: Servers, port: int, caplog: pytest.LogCaptureFixture) -> None:
    program = 'given = os.environ["PYTRITON_APP_PID"], os.environ["PYTRITON_WORKSPACE"]\n'
    program += "print(*given, os.getsid(0) == os.getpid())\n"
    with caplog.at_level(logging.INFO, "pytriton.server"):
        process = servers.make(program + ATTACH_AND_SERVE, port)
        process.start()
        process.stop()
    assert f"{os.getpid()} /w True" in caplog.messages


def test_other_descriptors_are_not_inherited(
    servers: Servers, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    program = 'print("sockets", sum("socket" in os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 64)'
    program += ' if os.path.exists(f"/proc/self/fd/{fd}")))\n'
    ours = socket.socketpair()
    for end in ours:
        end.set_inheritable(True)
    with caplog.at_level(logging.INFO, "pytriton.server"):
        process = servers.make(program + ATTACH_AND_SERVE, port)
        process.start()
        process.stop()
    for end in ours:
        end.close()
    assert "sockets 0" in caplog.messages or "sockets 1" in caplog.messages


def test_not_ready_until_it_listens(servers: Servers, port: int) -> None:
    process = servers.make(f"attach()\ntime.sleep(0.3)\n{ATTACH_AND_SERVE[9:]}", port)
    start = time.monotonic()
    process.start()
    assert time.monotonic() - start > 0.3


def test_somebody_else_on_the_port_is_not_taken_for_the_server(servers: Servers, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        process = servers.make("attach()\nserve()", port)
        with pytest.raises(PyTritonServerError, match="did not open its endpoints in time"):
            process.start(timeout_s=2.0)
    assert not is_running(process.pid)


def test_taken_port(servers: Servers, port: int) -> None:
    line = (
        f"E1122 10:59:33.2 1 main.cc:2] failed to start HTTP service: Socket '0.0.0.0:{port}' already in use "
    )
    process = servers.make(f"attach()\nprint({line!r})\nsys.exit(1)", port)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTakenError) as caught:
        process.start()
    assert caught.value.message.startswith(f"The Triton server cannot listen: HTTP port {port} is taken: ")
    assert "TritonConfig(http_port=...)" in caught.value.message
    assert not servers.exited.is_set()


def test_cause_in_the_log_file(servers: Servers, port: int, tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    log_file.write_text("E1122 10:59:33.2 1 main.cc:2] of the run before\n")
    line = "E1122 10:59:33.2 1 main.cc:2] the cause"
    program = f"print('something')\nopen({str(log_file)!r}, 'a').write({line!r})\nsys.exit(1)"
    with pytest.raises(PyTritonServerError, match=r"exit code 1: the cause\.$"):
        servers.make(program, port, log_file=log_file).start()


def test_backend_that_never_comes(servers: Servers, port: int) -> None:
    with pytest.raises(PyTritonServerError, match="did not load the backend in time: I am stuck"):
        servers.make("print('I am stuck')\nserve()", port).start(timeout_s=0.5)


def test_channel_closed_by_a_living_server(servers: Servers, port: int) -> None:
    with pytest.raises(PyTritonServerError, match="did not load the backend"):
        servers.make("control.close()\ntime.sleep(60)", port).start()


def test_what_cannot_be_run(tmp_path: Path, port: int) -> None:
    text = tmp_path / "text"
    text.write_text("not a program")
    text.chmod(0o755)
    with no_leaks():
        for path in (tmp_path / "missing", tmp_path, text):
            with pytest.raises(PyTritonServerError, match="cannot be run"):
                ServerProcess([str(path)], []).start()


def test_unexpected_end(servers: Servers, port: int) -> None:
    process = servers.make(ATTACH_AND_SERVE, port)
    process.start()
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert servers.exited.wait(10)
    assert not process.is_alive()
    assert process.why_ended() == "The Triton server was killed by SIGKILL."
    with pytest.raises(PyTritonServerError, match="was killed by SIGKILL"):
        process.control.load("m", 10)


def test_server_that_does_not_stop(
    servers: Servers, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pytriton.server.process._TERMINATE_TIMEOUT_S", 0.1)
    process = servers.make(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{ATTACH_AND_SERVE}", port)
    process.start()
    assert process.stop() is StopResult.KILLED
    assert not is_running(process.pid)
    assert "is killed" in caplog.text


def test_server_without_work_is_not_waited_for(
    servers: Servers, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    process = servers.make(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{ATTACH_AND_SERVE}", port)
    process.start()
    assert process.stop(has_work=False) is StopResult.KILLED
    assert not is_running(process.pid)
    assert caplog.text == ""


def test_server_that_lingers_when_its_backend_is_gone(servers: Servers, port: int) -> None:
    program = "def end(*_):\n control.close()\n time.sleep(60)\nsignal.signal(signal.SIGTERM, end)\n"
    process = servers.make(program + ATTACH_AND_SERVE, port)
    process.start()
    begin = time.monotonic()
    assert process.stop() is StopResult.EXITED
    assert time.monotonic() - begin < 5
    assert not is_running(process.pid)


def test_signal_while_the_thread_that_watches_it_starts(
    servers: Servers, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(threading.Thread):
        def start(self) -> None:
            if self.name == "pytriton-server-exit":
                begun = threading.Event()

                def begin() -> None:
                    begun.wait()
                    super(Interrupted, self).start()

                helper = threading.Thread(target=begin)
                helper.start()
                begun.set()
                raise KeyboardInterrupt
            super().start()

    process = servers.make(ATTACH_AND_SERVE, port)
    monkeypatch.setattr("pytriton.server.process.threading.Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.start()
    assert not process.is_alive()
    assert not is_running(process.pid)


def test_start_from_a_thread_that_ends(servers: Servers, port: int) -> None:
    process = servers.make(ATTACH_AND_SERVE, port)
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    assert process.is_alive()
    wait_until(lambda: process.wait_quiet(5), "a server that has nothing to do")
    assert process.is_alive()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_cannot_stop_it(servers: Servers, port: int) -> None:
    process = servers.make(ATTACH_AND_SERVE, port)
    process.start()
    child = os.fork()
    if child == 0:
        process.kill()
        os._exit(0)
    os.waitpid(child, 0)
    assert process.is_alive()
    assert is_running(process.pid)


def test_quiet_waits_for_what_is_unsent(servers: Servers, port: int) -> None:
    program = (
        "attach()\nserver = listen(int(sys.argv[1]))\nclient, _ = server.accept()\n"
        "client.setblocking(False)\nprint(client.send(bytes(1 << 26)))\nserve()"
    )
    process = servers.make(program, port)
    process.start()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.recv(1, socket.MSG_PEEK)
        assert not process.wait_quiet(0.8)
        reader = threading.Thread(target=lambda: [None for _ in iter(lambda: client.recv(1 << 20), b"")])
        reader.start()
        wait_until(lambda: process.wait_quiet(20), "a server whose answer has been read")
        process.kill()
        reader.join()
