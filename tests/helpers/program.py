# SPDX-License-Identifier: Apache-2.0
"""One of `tests.helpers.programs` from outside: what it says, its server, and what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.helpers.gate import wait_until
from tests.helpers.processes import Watch, servers_of
from tests.helpers.server import LOCAL, Address

__all__ = ["Program", "started"]

_ROOT: Final = Path(__file__).parents[2]
_TIMEOUT_S: Final = 30.0


class Program:
    """A program that has said that it serves."""

    def __init__(self, name: str, home: Path, *, half_started: bool) -> None:
        self.home = home
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.programs", name],
            cwd=_ROOT,
            env={**os.environ, "PYTRITON_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._said = b""
        self.watch = Watch(self._process.pid)
        self.server: Watch | None = None
        try:
            self.ports = [int(port) for port in self.expect("ports").split()]
            if half_started:
                wait_until(lambda: bool(servers_of(self.watch.pid)), "a server")
            else:
                self.expect("log Model")
            (server,) = servers_of(self.watch.pid)
            self.server = Watch(server)
        except BaseException:
            self.close()
            raise
        self.address = Address(*self.ports)

    def expect(self, start: str, timeout_s: float = _TIMEOUT_S) -> str:
        """The rest of the next line that starts so; lines before it are passed over."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while True:
            line, end, rest = self._said.partition(b"\n")
            if end:
                self._said = rest
                if line.startswith(start.encode()):
                    return line[len(start) :].decode().strip()
                continue
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(descriptor, 1 << 16) if ready else b""
            assert more, f"the program never said {start!r}"
            self._said += more

    def go_on(self) -> None:
        """Let it pass one point where it waits."""
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), b"\n")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.watch.kill(number)

    def wait(self, timeout_s: float = _TIMEOUT_S) -> int:
        """Its exit status, as subprocess gives it."""
        return self._process.wait(timeout_s)

    def left_behind(self, timeout_s: float = 0.0) -> list[str]:
        """What is still there of it, after so much patience with the server."""
        assert self.server is not None
        left = [] if self.server.gone(timeout_s) else [f"server {self.server.pid}"]
        left += [str(path) for path in self.home.iterdir()]
        for port in self.ports:
            with socket.socket() as probe:
                if probe.connect_ex((LOCAL, port)) == 0:
                    left.append(f"port {port}")
        return left

    def close(self) -> None:
        """End it and its server."""
        for watch in (self.watch, self.server):
            if watch is not None:
                watch.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


@contextlib.contextmanager
def started(name: str, home: Path, *, half_started: bool = False) -> Iterator[Program]:
    """A program for the length of a block, which serves, or whose server has just been started."""
    program = Program(name, home, half_started=half_started)
    with contextlib.closing(program):
        yield program
