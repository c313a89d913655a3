# SPDX-License-Identifier: Apache-2.0
"""The worker processes of one model, and the thread that looks after them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, wait
from math import inf
from time import monotonic, sleep
from typing import Any, Final

from pytriton.exceptions import PyTritonModelLoadError, PyTritonRuntimeError, PyTritonUnrecoverableError
from pytriton.supervision.news import News
from pytriton.supervision.process import WorkerProcess, memory_file
from pytriton.supervision.seat import Seat
from pytriton.worker.line import Garbage
from pytriton.worker.loop import WorkerSpec
from pytriton.worker.remote_log import log_remote
from pytriton.workers import WorkerProcesses, WorkerState, WorkerStatus

__all__ = ["ProcessWorkers"]

LOGGER = logging.getLogger(__name__)

_LONGEST_WAIT_S: Final = 60.0
_KILL_TIMEOUT_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0
_PAUSE_S: Final = 0.1  # after what was not foreseen, which may come again at once


class ProcessWorkers:
    """Processes that run one function; those that end are replaced.

    `on_failure` is called, in a thread of this object, when that is given up.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        job: bytes,
        settings: WorkerProcesses,
        count: int,
        on_failure: Callable[[BaseException], object] | None = None,
    ) -> None:
        self._name = spec.model.model_name
        self._settings = settings
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        with contextlib.ExitStack() as undo:
            try:
                self._payload = memory_file(job)
                undo.callback(os.close, self._payload)
                self._spec = memory_file(pickle.dumps(spec))
                undo.callback(os.close, self._spec)
                self._news = News()
            except OSError as error:
                raise PyTritonRuntimeError(
                    f'model "{self._name}": worker processes cannot be run: {error}.'
                ) from error
            undo.pop_all()
        self._lock = threading.RLock()
        self._first = [Seat(index, settings) for index in range(count)]
        self._seats = {seat.index: seat for seat in self._first}
        self._stopping = self._closed = False
        name = f"pytriton-workers of {self._name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def failure(self) -> BaseException | None:
        """Why processes are no longer replaced."""
        return self._failure

    def start(self) -> None:
        """Start the processes; they connect as soon as they are warm and somebody listens."""
        self._thread.start()
        with self._lock:
            for seat in self._first:
                self._launch(seat)
            self._wake()

    def wait_warm(self) -> None:
        """Wait until all processes are ready; raises what failed."""
        self._wait_warm(self._first)

    def is_alive(self) -> bool:
        """Whether processes that end are replaced."""
        return self._failure is None and not self._stopping and self._thread.is_alive()

    def status(self) -> list[WorkerStatus]:
        """The processes as they are now."""
        with self._lock:
            return [seat.status() for _, seat in sorted(self._seats.items())]

    def add(self, count: int) -> None:
        """Start so many more, and wait until they are ready; if one cannot be, none of them stays."""
        with self._lock:
            free = (index for index in range(len(self._seats) + count) if index not in self._seats)
            seats = [Seat(index, self._settings) for index in itertools.islice(free, count)]
            if self._stopping:
                raise PyTritonModelLoadError("The workers were stopped before they were warm.")
            for seat in seats:
                self._seats[seat.index] = seat
                self._launch(seat)
            self._wake()
        try:
            self._wait_warm(seats)
        except BaseException:
            self._remove(seats, monotonic())
            raise

    def remove(self, count: int, timeout_s: float) -> None:
        """Let so many end once they have answered what they hold, by force after the time."""
        with self._lock:
            staying = [
                seat for _, seat in sorted(self._seats.items()) if seat.state is not WorkerState.LEAVING
            ]
            seats = staying[len(staying) - count :]
        if slow := self._remove(seats, monotonic() + timeout_s):
            LOGGER.warning(
                'model "%s": %d of %d workers that were to leave did not answer what they held within %g s; '
                "their requests fail now.",
                self._name,
                slow,
                count,
                timeout_s,
            )

    def stop(self, timeout_s: float) -> bool:
        """End the processes; false if one had to be killed."""
        deadline = monotonic() + timeout_s
        with self._lock:
            self._stopping = True
            seats = list(self._seats.values())
            for seat in seats:
                if seat.process is None:
                    self._forget(seat)
                else:
                    seat.process.line.send("stop")
            self._wake()
        if self._thread.ident is None:
            self._close()
            return True
        if threading.current_thread() is self._thread:
            return False
        self._thread.join(max(0.0, deadline - monotonic()))
        in_time = not self._thread.is_alive()
        if not in_time:
            with self._lock:
                for seat in seats:
                    if seat.process is not None:
                        seat.process.kill()
            self._thread.join(_KILL_TIMEOUT_S)
        return in_time

    # --- what follows runs in the thread of this object, or with its lock ---

    def _run(self) -> None:
        try:
            while True:
                with self._lock:
                    if self._stopping and not self._seats:
                        break
                    now = monotonic()
                    next_look = min((seat.next_look(now) for seat in self._seats.values()), default=inf)
                news = self._news.wait(min(_LONGEST_WAIT_S, max(0.0, next_look - now)))
                failure = self._failure
                with self._lock:
                    for seat, is_end in news:
                        self._try(self._ended if is_end else self._hear, seat)
                    for seat in list(self._seats.values()):
                        self._try(self._look, seat, monotonic())
                if failure is None and self._failure is not None and self._on_failure is not None:
                    self._on_failure(self._failure)
        finally:
            self._close()

    @staticmethod
    def _try(act: Callable[..., None], *arguments: Any) -> None:
        """Do it; whatever fails in it, such as a handler of the application's log, ends no supervision."""
        try:
            act(*arguments)
        except Exception:
            traceback.print_exc()  # the log may be what fails
            sleep(_PAUSE_S)

    def _hear(self, seat: Seat) -> None:
        # It may have been told in the same breath that the process has ended.
        if seat.process is not None and not self._listen(seat):
            self._news.ignore(seat.process)

    def _listen(self, seat: Seat) -> bool:
        """Take in what a process has said; whether it may say more."""
        assert seat.process is not None
        try:
            while (message := seat.process.line.receive()) is not None:
                self._take(seat, message)
        except BlockingIOError:
            return True
        except (Garbage, KeyError, TypeError, ValueError) as error:
            self._kill(seat, f"said what makes no sense ({error})")
        else:
            seat.line_due = monotonic() + _LAST_WORDS_S
        return False

    def _take(self, seat: Seat, message: dict[str, Any]) -> None:
        kind, now = message["kind"], monotonic()
        if kind == "log":
            log_remote(message)
        elif kind == "warm":
            LOGGER.info('model "%s": worker %d is ready', self._name, seat.index)
            seat.note_ready(now)
        elif kind == "failed":
            seat.unrecoverable = bool(message["unrecoverable"])
            self._kill(seat, f"failed: {message['text']}")
        elif kind == "health" and message["text"]:
            self._kill(seat, f"is not healthy: {message['text']}")
        elif kind == "health":
            seat.note_healthy(now)

    def _look(self, seat: Seat, now: float) -> None:
        if seat.state is WorkerState.WAITING:
            if now >= seat.due:
                seat.restarts += 1
                self._launch(seat)
            return
        if seat.process is None:
            return
        if fault := seat.fault(now):
            self._kill(seat, fault)
        elif now >= seat.next_check:
            seat.next_check, seat.check_due = inf, now + self._settings.health_check_timeout_s
            seat.process.line.send("check")
        if seat.state is WorkerState.LEAVING and now >= seat.due:
            seat.due = inf
            self._kill(seat, "did not leave in time")

    def _launch(self, seat: Seat) -> None:
        try:
            process = WorkerProcess(
                f"pytriton worker {seat.index} of {self._name}",
                seat.index,
                self._payload,
                self._spec,
                environment=self._settings.environment(seat.index),
                beats=self._settings.hang_timeout_s is not None,
            )
        except PyTritonRuntimeError as error:
            self._failed(seat, str(error))
            return
        except Exception as error:  # such as OSError for want of descriptors, which may pass
            self._failed(seat, f"cannot be started: {type(error).__name__}: {error}")
            return
        seat.begin(process, monotonic())
        self._news.expect(seat, process)

    def _kill(self, seat: Seat, reason: str) -> None:
        seat.reason = seat.reason or reason
        seat.due = seat.next_check = seat.check_due = seat.line_due = inf
        if seat.process is not None:
            seat.process.kill()

    def _ended(self, seat: Seat) -> None:
        process = seat.process
        assert process is not None
        if self._news.forget(process):
            self._listen(seat)
        reason = process.reap()
        seat.process = None
        reason = seat.reason or reason
        if self._stopping or seat.state is WorkerState.LEAVING:
            self._forget(seat, by_itself=not seat.reason)
        else:
            self._failed(seat, reason)

    def _failed(self, seat: Seat, reason: str) -> None:
        now = monotonic()
        what = f'Worker {seat.index} of model "{self._name}" {reason}'
        if not seat.warm.done():  # whoever waits for it is told, and there is no sense in more of the same
            seat.warm.set_exception(PyTritonModelLoadError(what))
            self._forget(seat)
            return
        delay = None if seat.unrecoverable else seat.delay_s(now)
        if delay is not None:
            seat.state, seat.due, seat.ready_at = WorkerState.WAITING, now + delay, inf
            LOGGER.error("%s. It is replaced in %.3g s.", what, delay)
            return
        if seat.unrecoverable:
            self._failure = PyTritonUnrecoverableError(what)
        else:
            self._failure = PyTritonRuntimeError(
                f"{what}. It has ended {seat.failures} times in a row, each within "
                f"stable_after_s={self._settings.stable_after_s:g} of being ready or before that; "
                f"max_restarts={self._settings.max_restarts} allows no other one."
            )
        self._forget(seat)
        LOGGER.error("%s", self._failure)

    def _forget(self, seat: Seat, *, by_itself: bool = True) -> None:
        self._seats.pop(seat.index, None)
        seat.warm.cancel()
        if not seat.left.done():
            seat.left.set_result(by_itself)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._news.close()
            for descriptor in (self._payload, self._spec):
                os.close(descriptor)

    # --- from any thread ---

    def _wait_warm(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            try:
                seat.warm.result()
            except CancelledError:
                raise PyTritonModelLoadError("The workers were stopped before they were warm.") from None

    def _remove(self, seats: Sequence[Seat], deadline: float) -> int:
        """Let workers go; how many had to be killed at that time."""
        left: list[Future[bool]] = [seat.left for seat in seats]
        with self._lock:
            for seat in seats:
                if self._seats.get(seat.index) is not seat:
                    continue
                if seat.process is None:
                    self._forget(seat)
                    continue
                is_new = seat.state is WorkerState.STARTING
                seat.state, seat.due = WorkerState.LEAVING, deadline
                if is_new:
                    seat.process.kill()
                else:
                    seat.process.line.send("leave")
            self._wake()
        done, _ = wait(left, max(0.0, deadline - monotonic()) + _KILL_TIMEOUT_S)
        return sum(not future.result() for future in done)

    def _wake(self) -> None:
        if not self._closed:
            self._news.call()
