# SPDX-License-Identifier: Apache-2.0
"""Pauses between tries."""

from __future__ import annotations

import contextlib
import threading

from pytriton.client._threads.abort import current_abort

__all__ = ["Pauses"]


class Pauses:
    """Pauses of a client's threads: the end of the client ends them, and that of a call its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_over = False

    def pause(self, seconds: float) -> None:
        """Wait in this thread; PyTritonClientAbortedError if its call is to end."""
        abort = current_abort()
        with contextlib.nullcontext() if abort is None else abort.waiting(self._wake), self._changed:
            self._changed.wait_for(lambda: self._is_over or (abort is not None and abort.is_asked), seconds)
        if abort is not None:
            abort.check()

    def end(self) -> None:
        """End them all, and those to come."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
