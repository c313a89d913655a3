# SPDX-License-Identifier: Apache-2.0
"""The descriptors of a process's standard streams, which a program such as a daemon may have closed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

__all__ = ["standard_streams"]

_LAST: Final = 2


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Let there be standard streams: nothing that is opened in the block is one of them.

    To a child that is to have a descriptor, one of their numbers would mean the stream.
    """
    _standins.enter()
    try:
        yield
    finally:
        _standins.leave()


class _Standins:
    """What is open in the place of streams, for all threads until the last one of them is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._opened: list[int] = []
        os.register_at_fork(after_in_child=self._after_fork)

    def enter(self) -> None:
        with self._lock:
            while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= _LAST:
                self._opened.append(descriptor)
                os.set_inheritable(descriptor, True)
            os.close(descriptor)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            while self._opened and not self._users:
                os.close(self._opened.pop())

    def _after_fork(self) -> None:
        # The thread that had it is not in the child.
        self._lock = threading.Lock()


_standins: Final = _Standins()
