# SPDX-License-Identifier: Apache-2.0
"""The place of one worker process, whichever process has it at the moment."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from math import inf
from typing import Final

from pytriton.supervision.process import WorkerProcess
from pytriton.workers import WorkerProcesses, WorkerState, WorkerStatus

__all__ = ["Seat"]

# A process that holds the GIL gives no sign of life, and one on a busy machine is late.
_LEAST_SILENCE_S: Final = 2.0


@dataclass(eq=False)
class Seat:
    """What is known of a worker; all times are of time.monotonic()."""

    index: int
    settings: WorkerProcesses
    state: WorkerState = WorkerState.STARTING
    process: WorkerProcess | None = None
    due: float = inf
    """When a process that starts is given up, one that leaves is killed, or the next one is started."""
    ready_at: float = inf
    next_check: float = inf
    check_due: float = inf
    line_due: float = inf
    """When a process that has closed its line, and has not ended, is given up."""
    failures: int = 0
    restarts: int = 0
    reason: str = ""
    """Why the process was killed, if it was, or what it said before it ended."""
    unrecoverable: bool = False
    warm: Future[None] = field(default_factory=Future)
    """Done when the first process is ready, or has failed to be."""
    left: Future[bool] = field(default_factory=Future)
    """Done when nothing is left of it: whether it ended by itself."""

    def status(self) -> WorkerStatus:
        """What others may know."""
        pid = None if self.process is None else self.process.pid
        return WorkerStatus(self.index, self.settings.device(self.index), self.state, pid, self.restarts)

    def begin(self, process: WorkerProcess, now: float) -> None:
        """Note that a process starts."""
        self.process = process
        self.state = WorkerState.STARTING
        self.due = now + self.settings.start_timeout_s
        self.ready_at = self.next_check = self.check_due = self.line_due = inf
        self.reason = ""

    def note_ready(self, now: float) -> None:
        """Note that the process serves."""
        self.ready_at = now
        if self.state is WorkerState.STARTING:
            self.state = WorkerState.READY
            self.due = inf
        if self.settings.health_check is not None:
            self.next_check = now + self.settings.health_check_period_s
        if not self.warm.done():
            self.warm.set_result(None)

    def note_healthy(self, now: float) -> None:
        """Note that a health check went well."""
        self.check_due = inf
        self.next_check = now + self.settings.health_check_period_s

    def delay_s(self, now: float) -> float | None:
        """How long to wait before the next process after one that has ended; None if enough is enough."""
        if now - self.ready_at >= self.settings.stable_after_s:
            self.failures = 0
        self.failures += 1
        if self.failures > self.settings.max_restarts:
            return None
        delay: float = self.settings.restart_delay_s * 2 ** (self.failures - 1)
        return min(delay, self.settings.max_restart_delay_s)

    def fault(self, now: float) -> str:
        """What is wrong with the process, if anything is."""
        if self.state is WorkerState.STARTING and now >= self.due:
            return f"was not ready within start_timeout_s={self.settings.start_timeout_s:g}"
        if now >= self.line_due:
            return "closed its connection to the application"
        if now >= self.check_due:
            return f"did not end its health check within {self.settings.health_check_timeout_s:g} s"
        limit, process = self.settings.hang_timeout_s, self.process
        if limit is None or process is None or self.ready_at == inf:
            return ""
        if process.activity.busy_s() > limit:
            return f"hangs: the function has been running for more than hang_timeout_s={limit:g}"
        if process.activity.silent_s() > max(limit, _LEAST_SILENCE_S):
            return f"hangs: it has given no sign of life for more than hang_timeout_s={limit:g}"
        return ""

    def next_look(self, now: float) -> float:
        """When something of it may have to be done."""
        times = [self.due, self.next_check, self.check_due, self.line_due]
        limit = self.settings.hang_timeout_s
        if limit is not None and self.process is not None:
            times.append(now + min(1.0, limit / 4))
        return min(times)
