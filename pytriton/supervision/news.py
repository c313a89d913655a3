# SPDX-License-Identifier: Apache-2.0
"""What a thread that looks after processes waits for."""

from __future__ import annotations

import os
import selectors

from pytriton.supervision.process import WorkerProcess
from pytriton.supervision.seat import Seat

__all__ = ["News"]


class News:
    """The ends of processes, what they say, and calls of other threads."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        try:
            self._calls = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError:
            self._selector.close()
            raise
        self._selector.register(self._calls, selectors.EVENT_READ)

    def call(self) -> None:
        """End the wait of another thread."""
        os.eventfd_write(self._calls, 1)

    def expect(self, seat: Seat, process: WorkerProcess) -> None:
        """Wait for news of a process, which has just come to a seat."""
        for source in (process.pidfd, process.line):
            self._selector.register(source, selectors.EVENT_READ, (seat, process))

    def wait(self, timeout_s: float) -> list[tuple[Seat, bool]]:
        """Who has news, and whether it is the end of its process; else it has said something."""
        news = []
        for key, _ in self._selector.select(timeout_s):
            if key.fd == self._calls:
                os.eventfd_read(self._calls)
            else:
                seat, process = key.data
                news.append((seat, key.fd == process.pidfd))
        return news

    def ignore(self, process: WorkerProcess) -> None:
        """Wait no longer for what a process says: it has come to an end, or makes no sense."""
        self._selector.unregister(process.line)

    def forget(self, process: WorkerProcess) -> bool:
        """Wait for nothing of a process, which has ended; whether it may have said something at last."""
        self._selector.unregister(process.pidfd)
        is_heard = process.line.fileno() in self._selector.get_map()
        if is_heard:
            self.ignore(process)
        return is_heard

    def close(self) -> None:
        """Wait for nothing any more."""
        self._selector.close()
        os.close(self._calls)
