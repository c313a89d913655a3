# SPDX-License-Identifier: Apache-2.0
"""One model without a server: its queue, its batches and its workers."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, Final

from pytriton.exceptions import ErrorCode, PyTritonModelLoadError
from pytriton.testing._block import Requested
from pytriton.testing._job import Job
from pytriton.testing._link import Link
from pytriton.worker.loop import WorkerSpec

__all__ = ["LocalModel"]

_STOP_TIMEOUT_S: Final = 5.0


class LocalModel:
    """A model and its workers, which are threads of this process."""

    def __init__(self, spec: WorkerSpec, functions: Sequence[Callable[..., Any]]) -> None:
        self.config = spec.model
        self._lock = threading.RLock()
        self._queue: deque[Job] = deque()
        self._held = 0
        self._stopped = False
        self._links = [
            Link(spec, function, index, self._lock, self._dispatch)
            for index, function in enumerate(functions)
        ]

    @property
    def label(self) -> tuple[str, int]:
        """Name and version."""
        return self.config.model_name, self.config.model_version

    def start(self) -> None:
        """Start the workers and wait until they are warm; raises what failed."""
        for link in self._links:
            link.worker.thread.start()
        for link in self._links:
            try:
                link.worker.warm.result()
            except Exception as error:
                self.stop()
                raise PyTritonModelLoadError(
                    f'model "{self.config.model_name}": it is not ready: {error}'
                ) from error

    def stop(self) -> bool:
        """End the workers; false if a function has not returned in time."""
        with self._lock:
            self._stopped = True
        for link in self._links:
            link.stop()
        deadline = monotonic() + _STOP_TIMEOUT_S
        ended = [link.join(max(0.0, deadline - monotonic())) for link in self._links]
        self._dispatch()
        return all(ended)

    def submit(self, request: Requested) -> Job:
        """Send a request."""
        job = Job(request, self._cancel)
        with self._lock:
            self._queue.append(job)
            self._dispatch()
        return job

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let requests of this block wait until its end, so that they make batches."""
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                self._dispatch()

    def _cancel(self, job: Job) -> None:
        with self._lock:
            if job.ended or job.cancelled:
                return
            job.cancelled = True
            if job in self._queue:
                self._queue.remove(job)
                job.fail(ErrorCode.CANCELLED, "the request was cancelled")
                return
            for link in self._links:
                link.cancel(job)

    def _dispatch(self) -> None:
        """Give batches to workers that have room, as the server does: no longer waits than it must."""
        with self._lock:
            alive = [link for link in self._links if not link.has_ended]
            if self._stopped or not alive:
                self._fail_all()
                return
            for link in alive:
                while self._queue and not self._held and link.has_room:
                    link.execute(self._take_batch())

    def _take_batch(self) -> list[Job]:
        first = self._queue.popleft()
        jobs, rows = [first], first.request.rows
        if not self.config.batching or self.config.batcher is None:
            return jobs
        while self._queue:
            job = self._queue[0]
            rows += job.request.rows
            if rows > self.config.max_batch_size or job.kinds != first.kinds:
                break
            jobs.append(self._queue.popleft())
        return jobs

    def _fail_all(self) -> None:
        causes = [repr(link.failure) for link in self._links if link.failure is not None]
        why = f": {', '.join(causes)}" if causes else ""
        while self._queue:
            job = self._queue.popleft()
            job.fail(ErrorCode.UNAVAILABLE, f'model "{self.config.model_name}": its workers have ended{why}')
