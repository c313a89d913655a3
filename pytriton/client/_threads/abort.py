# SPDX-License-Identifier: Apache-2.0
"""Ending what another thread waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from pytriton.client.exceptions import PyTritonClientAbortedError

__all__ = ["Abort", "current_abort"]

_thread = threading.local()


class Abort:
    """A way into one call: what waits says how to end its waiting, and who wants the end says so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self._asked = threading.Event()

    @property
    def is_asked(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._asked.is_set()

    def ask(self) -> None:
        """End the call, whatever it does; may be asked of any thread."""
        with self._lock:
            self._asked.set()
            interrupt = self._interrupt
            if interrupt is not None:
                interrupt()

    def check(self) -> None:
        """Raise PyTritonClientAbortedError if the end has been asked for."""
        if self.is_asked:
            raise PyTritonClientAbortedError("The request was aborted.")

    @contextlib.contextmanager
    def waiting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Within the block the end comes by way of `interrupt`."""
        with self._lock:
            self.check()
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function in this thread, so that it can be ended."""
        self.check()
        _thread.abort = self
        try:
            return function()
        finally:
            _thread.abort = None


def current_abort() -> Abort | None:
    """The way into the call that this thread is in, if it was made with one."""
    return getattr(_thread, "abort", None)
