# SPDX-License-Identifier: Apache-2.0
"""Whatever still serves when the interpreter ends is stopped."""

from __future__ import annotations

import atexit
import functools
import logging
import weakref
from typing import Protocol

__all__ = ["stop_at_exit", "stop_running", "stopped"]

LOGGER = logging.getLogger("pytriton.triton")


class _Serving(Protocol):
    def stop(self) -> bool:
        """Serve no longer."""


_running: weakref.WeakSet[_Serving] = weakref.WeakSet()


def stop_at_exit(serving: _Serving) -> None:
    """Stop what serves now when the interpreter ends, if it has not been stopped before."""
    _register()
    _running.add(serving)


def stopped(serving: _Serving) -> None:
    """Note that it has been."""
    _running.discard(serving)


def stop_running() -> None:
    """Stop whatever serves."""
    for serving in list(_running):
        try:
            serving.stop()
        except Exception:  # the others still have to be stopped
            LOGGER.exception("A server could not be stopped properly.")


@functools.cache
def _register() -> None:
    atexit.register(stop_running)
