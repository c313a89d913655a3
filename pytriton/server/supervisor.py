# SPDX-License-Identifier: Apache-2.0
"""A server that is started again when it dies, as often as a policy lets it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from pytriton.exceptions import PyTritonError, PyTritonServerError
from pytriton.restarts import RestartPolicy, Restarts
from pytriton.server.process import ServerProcess

__all__ = ["ServerSupervisor"]

LOGGER = logging.getLogger("pytriton.triton")

_JOIN_TIMEOUT_S: Final = 20.0


class ServerSupervisor:
    """Holds the process that is the server now; the first start is the caller's to see fail or succeed."""

    def __init__(
        self,
        make: Callable[[Callable[[], None]], ServerProcess],
        policy: RestartPolicy,
        *,
        before_restart: Callable[[], None],
        after_start: Callable[[ServerProcess], None],
        on_end: Callable[[], None],
    ) -> None:
        """Describe a server.

        Args:
            make: Makes a process, not started yet, that calls its argument when it has ended by itself.
            policy: How often and how soon it is started again.
            before_restart: Called before a server is started again, to prepare what it will load.
            after_start: Called with each process once it takes requests.
            on_end: Called from a thread when the server has ended for good without having been asked to.
        """
        self._make = make
        self._policy = policy
        self._restarts = Restarts(policy)
        self._before_restart = before_restart
        self._after_start = after_start
        self._on_end = on_end
        # Guards what follows; reentrant, because a signal handler of the program may call stop().
        self._changed = threading.Condition(threading.RLock())
        self._users = 0
        self._restarting = False
        self._stopping = threading.Event()
        self._reason: str | None = None
        self._process = self._new_process()
        self._thread: threading.Thread | None = None
        self.restarts = 0
        """How often the server was started again."""

    @property
    def process(self) -> ServerProcess:
        """The server as of now."""
        return self._process

    def start(self) -> None:
        """Start the server for the first time; on failure nothing is left running."""
        process = self._process
        process.start()
        self._after_start(process)
        if not process.is_alive():  # too early for its end to be told
            self._exited(process)

    def is_alive(self) -> bool:
        """Whether the server runs, or is being started again."""
        return self._reason is None and (self._restarting or self._process.is_alive() or self._will_restart())

    def failure(self) -> PyTritonServerError | None:
        """Why the server has ended, if it has for good."""
        if self.is_alive():
            return None
        return self._process.ended_error() if self._reason is None else PyTritonServerError(self._reason)

    @contextlib.contextmanager
    def steady(self) -> Iterator[ServerProcess]:
        """Wait for a restart that is under way, and let none begin in the block, which changes models."""
        with self._changed:
            self._changed.wait_for(self._is_steady)
            self._users += 1
        try:
            yield self._process
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def retire(self) -> ServerProcess:
        """Start the server no more; returns the process to stop, which may have ended."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
            thread, restarting = self._thread, self._restarting
        if thread is not None and thread is not threading.current_thread():
            if restarting:
                self._process.kill()
            thread.join(_JOIN_TIMEOUT_S)
        return self._process

    def kill(self) -> None:
        """End the server at once, and start it no more."""
        self._stopping.set()
        self._process.kill()

    def _new_process(self) -> ServerProcess:
        def exited() -> None:
            self._exited(process)

        process = self._make(exited)
        return process

    def _is_steady(self) -> bool:
        if self._stopping.is_set() or self._reason is not None:
            return True
        # One that has ended is about to be started again.
        return not self._restarting and self._process.is_alive()

    def _will_restart(self) -> bool:
        # Between the end of the process and the beginning of its restart.
        return self._policy.max_restarts > 0 and not self._stopping.is_set()

    def _exited(self, process: ServerProcess) -> None:
        with self._changed:
            if process is not self._process or self._restarting or self._stopping.is_set():
                return
            self._restarting = True
            self._thread = threading.Thread(
                target=self._bring_back, args=(process,), name="pytriton-server-restart", daemon=True
            )
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending
            self._end(process.why_ended())

    def _bring_back(self, process: ServerProcess) -> None:
        began = time.monotonic()
        reason = process.why_ended()
        try:
            while not self._stopping.is_set():
                delay = self._restarts.next_delay()
                if delay is None:
                    self._end(self._final_words(reason))
                    return
                self._announce(reason, delay)
                if self._stopping.wait(delay):
                    return
                try:
                    process = self._start_again()
                except (PyTritonError, OSError) as error:
                    reason = str(error)
                    continue
                if process.is_alive():
                    self._note_running(time.monotonic() - began)
                    return
                reason = process.why_ended()
        except BaseException as error:
            self._end(f"The Triton server could not be started again: {error!r}. It had ended: {reason}")
            raise

    def _start_again(self) -> ServerProcess:
        with self._changed:
            self._changed.wait_for(lambda: self._users == 0 or self._stopping.is_set())
        self._process.kill()  # what is left of it: descriptors and threads
        self._before_restart()
        with self._changed:
            self._process = process = self._new_process()
        if self._stopping.is_set():
            raise PyTritonServerError("The Triton server is being stopped.")
        process.start()
        if self._stopping.is_set():
            process.kill()
        self._after_start(process)
        return process

    def _note_running(self, took_s: float) -> None:
        with self._changed:
            self._restarting = False
            self.restarts += 1
            self._changed.notify_all()
        LOGGER.warning("The Triton server takes requests again, after %.2f s.", took_s)
        process = self._process
        if not process.is_alive():  # its end came too early to be told
            self._exited(process)

    def _announce(self, reason: str, delay: float) -> None:
        when = f"in {delay:g} s" if delay else "now"
        LOGGER.error(
            "%s It is started again %s, for the %d. of at most %d times within %g s.",
            reason,
            when,
            self._restarts.recent,
            self._policy.max_restarts,
            self._policy.period_s,
        )

    def _final_words(self, reason: str) -> str:
        policy = self._policy
        if not policy.max_restarts:
            return reason
        return (
            f"{reason} It has been started again {self._restarts.recent} times within {policy.period_s:g} s "
            "and is not any more; RestartPolicy(max_restarts=..., period_s=...) says how often."
        )

    def _end(self, reason: str) -> None:
        with self._changed:
            self._reason = reason
            self._restarting = False
            self._changed.notify_all()
        self._on_end()
