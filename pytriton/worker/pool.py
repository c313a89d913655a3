# SPDX-License-Identifier: Apache-2.0
"""The workers of one model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from time import monotonic
from typing import Any

from pytriton.exceptions import PyTritonModelLoadError
from pytriton.worker.loop import Worker, WorkerSpec

__all__ = ["ThreadWorkers", "WorkerSpec"]


class ThreadWorkers:
    """One worker thread for each function.

    `on_failure` is called, in the worker's thread, when one has ended by itself.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        functions: Sequence[Callable[..., Any]],
        on_failure: Callable[[BaseException], object] | None = None,
    ) -> None:
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        self._workers = [
            Worker(spec, function, index, self._note_failure) for index, function in enumerate(functions)
        ]

    @property
    def failure(self) -> BaseException | None:
        """Why a worker has ended by itself."""
        return self._failure

    @property
    def bytes_copied(self) -> int:
        """Tensor bytes that Python code has copied, of all workers together."""
        return sum(worker.bytes_copied for worker in self._workers)

    def start(self) -> None:
        """Start the threads; they connect as soon as somebody listens."""
        for worker in self._workers:
            worker.thread.start()

    def wait_warm(self) -> None:
        """Wait until all functions have been warmed up; raises what failed."""
        for worker in self._workers:
            try:
                worker.warm.result()
            except CancelledError:
                raise PyTritonModelLoadError("The workers were stopped before they were warm.") from None

    def stop(self, timeout_s: float) -> bool:
        """End the threads; false if a function has not returned in time."""
        for worker in self._workers:
            worker.shutdown()
        deadline = monotonic() + timeout_s
        others = [
            worker.thread for worker in self._workers if worker.thread is not threading.current_thread()
        ]
        for thread in others:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - monotonic()))
        return not any(thread.is_alive() for thread in others)

    def is_alive(self) -> bool:
        """Whether all workers run."""
        # One that reports its failure still runs.
        return self._failure is None and all(worker.thread.is_alive() for worker in self._workers)

    def has_this_thread(self) -> bool:
        """Whether one of the functions is what calls this."""
        return any(worker.thread is threading.current_thread() for worker in self._workers)

    def _note_failure(self, error: BaseException) -> None:
        self._failure = error
        if self._on_failure is not None:
            self._on_failure(error)
