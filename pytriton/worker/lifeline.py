# SPDX-License-Identifier: Apache-2.0
"""A process that does not outlive another one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from typing import Final

__all__ = ["die_with"]

_F_SETSIG: Final = 10  # no name in the standard library of Python 3.10


def die_with(descriptor: int) -> None:
    """Let the kernel kill this process and its group when the other end of a pipe is closed.

    No code of the process takes part, so that neither a function that holds the GIL nor blocked signals stand
    in the way. Where a kernel cannot do this the end of the process's socket is all that it goes by.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK | fcntl.FASYNC)
        # The other end may have been closed before anybody was to be told.
        with contextlib.suppress(BlockingIOError):
            if not os.read(descriptor, 1):
                os.kill(os.getpid(), signal.SIGKILL)
