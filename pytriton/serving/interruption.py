# SPDX-License-Identifier: Apache-2.0
"""What interrupts a main thread that serves."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

__all__ = ["ended_by_signals", "interrupted_by_sigterm"]

LOGGER = logging.getLogger("pytriton.triton")

_EXIT_CODE_OF_SIGNALS: Final = 128


@contextlib.contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt the main thread as Ctrl-C does, unless the program has a handler of its own."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the program in the midst of stopping: with a line, and no traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in before:  # what is under way now is over in a moment, and must not be left halfway
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if (handler := signal.getsignal(number)) in (signal.default_int_handler, _interrupt)
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


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt("SIGTERM")
