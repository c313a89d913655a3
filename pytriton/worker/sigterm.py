# SPDX-License-Identifier: Apache-2.0
"""SIGTERM in a worker process, which those who stop a service send to all of its processes."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

__all__ = ["leave_sigterm_to_the_application"]

_masks = threading.local()


def leave_sigterm_to_the_application() -> None:
    """Go on at SIGTERM: the application lets the requests end first. What a function starts hears it."""
    # Not SIG_IGN, which programs inherit; handlers they do not.
    signal.signal(signal.SIGTERM, _go_on)
    os.register_at_fork(before=_hold_back, after_in_parent=_let_come, after_in_child=_hear)


def _go_on(_number: int, _frame: FrameType | None) -> None:
    pass


def _hold_back() -> None:
    # A process that has just been forked still has the handler, and would go on as well.
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_come() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _hear() -> None:
    if signal.getsignal(signal.SIGTERM) is _go_on:  # else the function has one of its own
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_come()
