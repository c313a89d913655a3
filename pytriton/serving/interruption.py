# SPDX-License-Identifier: Apache-2.0
"""What interrupts a main thread that serves."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

__all__ = ["ended_by_signals", "interrupted_by_signals"]

LOGGER = logging.getLogger("pytriton.triton")

_EXIT_CODE_OF_SIGNALS: Final = 128
_AT_ONCE_S: Final = 0.2
"""Signals that come within so short a time are one: nobody presses Ctrl-C twice as fast."""


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM interrupt the main thread as Ctrl-C does, unless the program has a handler of its own.

    The KeyboardInterrupt has the name of a signal that was not Ctrl-C's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: handler
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))
        if (handler := signal.getsignal(number)) is usual
    }
    interrupt = _Interrupt()
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the program in the midst of stopping: with a line, and no traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if any(handler.is_repeated() for handler in before.values()):
            return
        for each in before:  # what is under way now is over in a moment, and must not be left halfway
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if isinstance(handler := signal.getsignal(number), _Interrupt)
    }
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt as error:
        number = signal.Signals(error.args[0]) if error.args else signal.SIGINT
        LOGGER.warning(
            "%s received while stopping: ended at once; requests in flight have no answer.", number.name
        )
        raise SystemExit(_EXIT_CODE_OF_SIGNALS + number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Interrupt:
    """A signal handler that interrupts the main thread."""

    def __init__(self) -> None:
        self._begin_s = -math.inf

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.is_repeated():
            return
        self._begin_s = time.monotonic()
        raise KeyboardInterrupt(*(() if number == signal.SIGINT else (signal.Signals(number).name,)))

    def is_repeated(self) -> bool:
        """Whether a signal says what another one has just said.

        Services are ended by a signal to each of their processes, and some pass it on, or by two signals. A
        second interrupt would come in the midst of what the first one has begun.
        """
        return time.monotonic() - self._begin_s < _AT_ONCE_S
