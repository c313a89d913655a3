# SPDX-License-Identifier: Apache-2.0
"""Blocking calls in coroutines, which keep all others of the worker waiting, are reported."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from pytriton.worker.activity import Activity

__all__ = ["Heartbeat"]

LOGGER = logging.getLogger(__name__)

_PERIOD_S: Final = 0.1
_TOLERATED_S: Final = 0.5
_SILENCE_S: Final = 60.0


class Heartbeat:
    """Expects an event loop to turn, while it runs, every so often."""

    def __init__(
        self, model_name: str, loop: asyncio.AbstractEventLoop, activity: Activity | None = None
    ) -> None:
        self._model = model_name
        self._loop = loop
        self._activity = activity
        self._due = 0.0
        self._silent_until = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Expect the next turn: the loop is about to run."""
        if self._activity is not None:
            self._activity.begin()
        self._due = self._loop.time() + _PERIOD_S
        self._handle = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Expect nothing: the loop has stopped."""
        if self._handle is not None:
            self._handle.cancel()
        self._look()

    def _beat(self) -> None:
        self._look()
        self.start()

    def _look(self) -> None:
        now = self._loop.time()
        late = now - self._due
        if late > _TOLERATED_S and now >= self._silent_until:
            self._silent_until = now + _SILENCE_S
            LOGGER.warning(
                'model "%s": a coroutine did not await anything for %.1f s, in which no other one of this '
                "worker could go on; pass long calls to asyncio.to_thread().",
                self._model,
                late + _PERIOD_S,
            )
