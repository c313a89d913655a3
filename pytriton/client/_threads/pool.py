# SPDX-License-Identifier: Apache-2.0
"""Threads for requests, and the bounded queue before them."""

from __future__ import annotations

import atexit
import collections
import contextlib
import functools
import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from pytriton.client._threads.forks import renew_after_fork
from pytriton.client._threads.future import AbortableFuture
from pytriton.client.exceptions import (
    PyTritonClientClosedError,
    PyTritonClientError,
    PyTritonClientQueueFullError,
)

__all__ = ["Pool"]

_LOGGER = logging.getLogger(__name__)

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_NAME: Final = "pytriton-futures"


class Pool:
    """Runs functions in threads: so many at a time, and so many more may wait.

    The threads are daemons, so that a pool nobody closed does not keep the interpreter from ending.
    """

    def __init__(self, workers: int | None, waiting: int | None, on_end: Callable[[], None]) -> None:
        """Start no thread yet.

        Args:
            workers: How many functions run at a time at most.
            waiting: How many more may wait.
            on_end: Called when the pool is closed and its last function has returned.
        """
        self._limit = float("inf") if workers is None else workers
        self._waiting_limit = float("inf") if waiting is None else waiting
        self._on_end = on_end
        self._closed = False
        self._failure: Exception | None = None
        self._after_fork()
        _end_at_exit()
        _pools.add(self)
        renew_after_fork(self)

    def submit(
        self, function: Callable[[], Any], *, patience_s: float | None, blocking: bool = True
    ) -> AbortableFuture[Any]:
        """Run a function when its turn comes.

        Args:
            function: What to run.
            patience_s: How long to wait for a place in the queue; None waits without end.
            blocking: Whether to wait for a place at all.
        """
        future: AbortableFuture[Any] = AbortableFuture()
        with self._changed:
            self._wait_for_place(patience_s if blocking else 0.0)
            self._queue.append((future, function))
            if self._free < len(self._queue) and self._alive < self._limit:
                self._start_thread()
            self._changed.notify_all()
        future.add_done_callback(self._forget_cancelled)
        return future

    def close(self, *, wait: bool) -> None:
        """Take no more functions; those that wait are still run.

        Args:
            wait: Whether to return only when all have been run; what `on_end` then raises is raised here.
        """
        with self._changed:
            ended = self._closed and not self._alive
            self._closed = True
            self._changed.notify_all()
            if not self._alive and not ended:
                self._on_end()
            if not wait:
                return
            self._closers += 1
            try:
                while self._alive:
                    self._changed.wait()
            finally:
                self._closers -= 1
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def abandon(self) -> None:
        """Take no more functions, run none that wait, and end the ones that run."""
        with self._changed:
            self._closed = True
            queued = list(self._queue)
            self._changed.notify_all()
        for future, _ in queued:
            future.cancel()
        self._on_end()

    def _start_thread(self) -> None:
        self._alive += 1
        self._free += 1
        try:
            threading.Thread(target=self._work, name=_NAME, daemon=True).start()
        except Exception as error:
            self._alive -= 1
            self._free -= 1
            if self._alive:  # then one of these will run it
                return
            self._queue.pop()
            raise PyTritonClientError(
                f"No thread can be started for the request, which was not sent: {error}. The process, its "
                "user or its container has as many as it may have (ulimit -u, pids.max); end some of them."
            ) from error

    def _after_fork(self) -> None:
        """Begin with no thread and nothing that waits: those are the parent's."""
        self._changed = threading.Condition()
        self._queue: collections.deque[tuple[AbortableFuture[Any], Callable[[], Any]]] = collections.deque()
        self._alive = 0
        self._free = 0
        self._closers = 0

    def _wait_for_place(self, patience_s: float | None) -> None:
        deadline = None if patience_s is None else time.monotonic() + patience_s
        while True:
            if self._closed:
                raise PyTritonClientClosedError("FutureModelClient is already closed.")
            room = self._limit - self._alive + self._free + self._waiting_limit
            if len(self._queue) < room:
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise PyTritonClientQueueFullError(
                    f"Queue is full: {self._limit:g} requests are under way, {self._waiting_limit:g} wait. "
                    "Wait for some of them, or make the client with a larger max_queue_size or max_workers."
                )
            self._changed.wait(left)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                self._free -= 1
                if not self._queue:
                    break
                future, function = self._queue.popleft()
                self._changed.notify_all()
            future.settle(function)
            del future, function
            with self._changed:
                self._free += 1
        with self._changed:
            # Who waits for the end waits for on_end too.
            last = self._alive == 1
            self._alive -= not last
        if last:
            self._end()

    def _end(self) -> None:
        failure = None
        try:
            self._on_end()
        except Exception as error:
            failure = error
        with self._changed:
            self._alive -= 1
            if failure is not None and self._closers:
                self._failure = failure
            elif failure is not None:
                _LOGGER.error("A closed FuturesModelClient could not let go of all it had.", exc_info=failure)
            self._changed.notify_all()

    def _forget_cancelled(self, future: Future[Any]) -> None:
        if not future.cancelled():
            return
        with self._changed, contextlib.suppress(StopIteration):
            entry = next(entry for entry in self._queue if entry[0] is future)
            self._queue.remove(entry)
            self._changed.notify_all()


@functools.cache
def _end_at_exit() -> None:
    atexit.register(_abandon_all)


def _abandon_all() -> None:
    for pool in list(_pools):
        try:
            pool.abandon()
        except Exception:  # the others still have to be
            _LOGGER.exception("A FuturesModelClient could not let go of all it had.")
