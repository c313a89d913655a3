# SPDX-License-Identifier: Apache-2.0
"""Something to wait for that a signal handler may set."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Final

__all__ = ["Flag"]

_LONGEST_SLEEP_S: Final = 1.0
"""A signal that comes just before a wait, or to another thread, is dealt with only after it."""


class Flag:
    """Like threading.Event, but set() may be called by a signal handler that interrupts wait()."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._is_set = False

    def set(self) -> None:
        """Wake all that wait."""
        self._is_set = True
        self._open()

    def wait(self, timeout_s: float) -> bool:
        """Whether the flag is set, or has been within the time."""
        deadline = time.monotonic() + timeout_s
        while not self._is_set:
            left_s = deadline - time.monotonic()
            if self._gate.acquire(timeout=max(0.0, min(left_s, _LONGEST_SLEEP_S))):
                self._open()  # for the next one that waits
            elif left_s <= _LONGEST_SLEEP_S:
                break
        return self._is_set

    def _open(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open
            self._gate.release()
