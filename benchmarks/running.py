# SPDX-License-Identifier: Apache-2.0
"""One started server: its processes, its events, its end."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import json_http, process_tree
from benchmarks.ports import free_ports
from benchmarks.subjects import Endpoints, Subject

__all__ = ["Running"]

_PR_SET_PDEATHSIG = 1
_ANSWER_POLL_S = 0.002
_RESUME_TIMEOUT_S = 15.0
_SERVER = "tritonserver"
_libc = ctypes.CDLL(None, use_errno=True)


class Running:
    """A server that was started, from the first instruction of its process until nothing of it is left."""

    def __init__(self, subject: Subject, directory: Path, models: tuple[str, ...]) -> None:
        self.subject = subject
        self._models = models
        self.endpoints = Endpoints(*free_ports(3))
        self._events: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._seen: set[int] = set()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.log = directory / "server.log"
        launch = subject.launch(self.endpoints, directory, models)
        self._stops_by = launch.stops_by
        self._stop_signal = launch.stop_signal
        reading, writing = os.pipe()
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        environment |= launch.environment | {"BENCHMARK_EVENTS_FD": str(writing)}
        self.started_ns = time.monotonic_ns()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                launch.command,
                stdin=subprocess.PIPE if self._stops_by == "stdin" else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=directory,
                pass_fds=[writing],
                start_new_session=True,
                preexec_fn=_end_with_runner if self._stops_by == "signal" else None,
            )
        os.close(writing)
        threading.Thread(target=self._collect, args=(reading,), daemon=True).start()

    @property
    def pids(self) -> list[int]:
        """The server-side processes that live now."""
        found = process_tree.descendants(self.process.pid)
        self._seen.update(found)
        return found

    def pause(self) -> None:
        """Stop all processes: an idle peer that polls, as LitServe does all the time, disturbs the others."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let all processes go on, and wait until they answer again."""
        if self.subject.heartbeat_s:
            # A server that finds a process without a sign of life since before the pause gives it up.
            for pid in self.pids:
                if process_tree.name(pid) != _SERVER:
                    self._signal(pid, signal.SIGCONT)
            time.sleep(self.subject.heartbeat_s)
        self._signal_all(signal.SIGCONT)
        self.wait_answered(_RESUME_TIMEOUT_S)

    def wait_answered(self, timeout_s: float = 90.0) -> int:
        """Return when (CLOCK_MONOTONIC, ns) the first request was answered, and check the answer."""
        deadline = time.monotonic() + timeout_s
        body = self.subject.request_body()
        while True:
            try:
                answer = json_http.post_json(self.endpoints.http, self.subject.infer_path, body)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise self._failure("did not answer a request") from None
                time.sleep(_ANSWER_POLL_S)
                continue
            answered_ns = time.monotonic_ns()
            if not self.subject.answers_with_input(answer):
                raise self._failure(f"answered with something other than its input: {answer}")
            return answered_ns

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until every model is ready."""
        deadline = time.monotonic() + timeout_s
        paths = self.subject.ready_paths(self._models)
        while not all(json_http.get_ok(self.endpoints.http, path) for path in paths):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise self._failure("did not become ready")
            time.sleep(0.01)

    def event_ns(self, name: str) -> int | None:
        """Return when the server reported the event, if it did."""
        with self._arrived:
            return next((event["ns"] for event in self._events if event["event"] == name), None)

    def copied_bytes(self, model: str, timeout_s: float = 10.0) -> tuple[int, int]:
        """Ask the app how many bytes were copied in, and out, since it started."""
        with self._arrived:
            before = self._count("counters")
        if self.process.stdin is None:
            raise ValueError(f"{self.subject.name} takes no commands")
        self.process.stdin.write(b"counters\n")
        self.process.stdin.flush()
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._count("counters") > before, timeout_s):
                raise self._failure("did not report its counters")
            latest = [event for event in self._events if event["event"] == "counters"][-1]
        counted = latest["models"][model]
        return int(counted["bytes_in"]), int(counted["bytes_out"]) + int(counted["worker"])

    def stop(self, timeout_s: float = 20.0) -> tuple[float, int]:
        """Ask it to stop; return the seconds until its process ended, and how many others it left behind."""
        self._signal_all(signal.SIGCONT)
        pids = self.pids
        asked = time.monotonic()
        if self._stops_by == "stdin" and self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(b"stop\n")
                self.process.stdin.close()
        else:
            self.process.send_signal(self._stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        seconds = time.monotonic() - asked
        left = [pid for pid in pids if process_tree.alive(pid)]
        self.end()
        return seconds, len(left)

    def end(self) -> None:
        """Make sure that nothing is left, by the process ids that were seen."""
        for pid in {*self._seen, *self.pids}:
            if process_tree.alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._seen.clear()  # the numbers may be others' from now on
        self.process.wait(10)
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self.pids:
            self._signal(pid, number)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _count(self, name: str) -> int:
        return sum(event["event"] == name for event in self._events)

    def _collect(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8") as lines:
            for line in lines:
                with self._arrived:
                    self._events.append(json.loads(line))
                    self._arrived.notify_all()

    def _failure(self, what: str) -> RuntimeError:
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        return RuntimeError(f"{self.subject.name} {what}; the last lines of its log:\n" + "\n".join(tail))


def _end_with_runner() -> None:
    # Runs in the child before exec. Whatever ends the runner, the server gets a SIGTERM.
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        sys.exit("prctl failed")
