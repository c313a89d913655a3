# SPDX-License-Identifier: Apache-2.0
"""One server that is given a fault: who is who in it, and what is left of it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from benchmarks import process_tree
from benchmarks.faults.asking import Asking
from benchmarks.faults.contestants import body, is_answer, path
from benchmarks.faults.notes import Notes
from benchmarks.running import Running
from benchmarks.subjects import Subject

__all__ = ["Server"]

_CLIENTS: Final = 6
_VALUE: Final = 2.5
_SHARED: Final = ("/dev/shm/", "/tmp/")
_MODEL: Final = "/tmp/folder"  # of a model that the server was given over its API
_ESTABLISHED: Final = "01"  # of /proc/net/tcp
_MODELS: Final = ("identity", "faulty", "slow")


class Server:
    """A server with the three models, which is asked for answers from the beginning to the end."""

    def __init__(self, subject: Subject, directory: Path) -> None:
        self.subject = subject
        self.directory = directory
        self._started = time.time()
        self.running = Running(subject, directory, _MODELS)
        self.notes = Notes(directory / "notes")
        self.top = self.running.process.pid
        self._known: dict[int, int] = {}
        self._shared: set[str] = set()
        self.asking = self.clients("identity", _VALUE, _CLIENTS)

    @property
    def port(self) -> int:
        """Where it is asked over HTTP."""
        return self.running.endpoints.http

    @property
    def pids(self) -> list[int]:
        """All its processes that live, also those whose parents have died."""
        found = {*self.running.pids, *process_tree.session(self.top)}
        for pid in self._living():
            found.update(process_tree.descendants(pid))
        for pid in found:
            if (started := process_tree.started(pid)) is not None:
                self._known[pid] = started
        return self._living()

    @property
    def workers(self) -> list[int]:
        """The processes that run the model that is asked, or stand between it and the server."""
        noted = [int(words[1]) for words in self.notes.lines() if words[0] == "worker"]
        found = [pid for pid in noted if pid != self.top and process_tree.alive(pid)]
        return found or [pid for pid in self.pids if _is_stub_of(pid, "identity")]

    @property
    def front(self) -> int:
        """The process that has the clients' connections; others may hold the port they were made to."""
        return next(pid for pid in self.pids if _is_connected(pid, self.port))

    def clients(self, model: str, value: float, count: int) -> Asking:
        """Clients that ask one model for the same."""
        return Asking(
            self.port,
            path(self.subject, model),
            body(self.subject, value),
            lambda answer: is_answer(self.subject, answer, value),
            count,
        )

    def listening(self) -> list[str]:
        """Which of its ports take connections."""
        ports = self.running.endpoints
        named = {"HTTP": ports.http, "gRPC": ports.grpc, "metrics": ports.metrics}
        found = []
        for name, port in named.items():
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    found.append(name)
        return found

    def _has_made(self, path: Path) -> bool:
        try:
            return not path.is_relative_to(self.directory) and path.stat().st_ctime >= self._started
        except OSError:
            return False

    def _living(self) -> list[int]:
        # A number that another process has by now is no longer one of ours.
        return sorted(pid for pid, started in self._known.items() if process_tree.started(pid) == started)

    def files(self) -> set[str]:
        """What its processes have open, mapped or as an argument in the places that all programs share."""
        found: set[str] = set()
        for pid in self.pids:
            found.update(_open_files(pid))
        self._shared.update(each for each in found if each.startswith(("/dev/shm/", _MODEL)))
        return {each for each in found if each.startswith(_SHARED) and self._has_made(Path(each))}

    def __enter__(self) -> Server:
        try:
            self.running.wait_answered()
            self.running.wait_ready()
            self.asking.__enter__()
            deadline = time.monotonic() + 30.0
            while not self.asking.well_since(time.monotonic() - 0.5):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.subject.name} does not answer all clients")
                time.sleep(0.1)
            self.files()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.files()
        if self.running.process.poll() is None:
            self.running.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 5.0
        while self.pids and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.running.end()
        self.asking.stop()
        for left in self._shared:
            with contextlib.suppress(OSError):
                if left.startswith(_MODEL):
                    shutil.rmtree(Path(*Path(left).parts[:3]))
                else:
                    os.unlink(left)
        shutil.rmtree(self.directory, ignore_errors=True)


def _is_stub_of(pid: int, model: str) -> bool:
    named = any(word.startswith(model) for word in _command(pid).split())
    return named and process_tree.name(pid).startswith("triton_python_b")


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _is_connected(pid: int, port: int) -> bool:
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == _ESTABLISHED and int(words[1].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{words[9]}]")
    return any(target in inodes for target in _descriptors(pid))


def _descriptors(pid: int) -> list[str]:
    found = []
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def _open_files(pid: int) -> set[str]:
    descriptors = set(_descriptors(pid))
    # A file that a process was started with need not be open any more.
    found = {each for each in (*descriptors, *_command(pid).split()) if each.startswith("/")}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found.update(re.findall(r" (/\S+)$", line))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and f"socket:[{words[6]}]" in descriptors:
            found.add(words[7])
    return found
