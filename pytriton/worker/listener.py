# SPDX-License-Identifier: Apache-2.0
"""An event loop that turns until its worker has something to receive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytriton.worker.failures import STRAY, report_stray

if TYPE_CHECKING:
    import asyncio

    from pytriton.worker.channel import Channel

__all__ = ["Listener"]


class Listener:
    """Lets a loop turn while nothing has come on a channel: tasks that functions have left behind go on.

    The loop may run besides, until a coroutine is done, and must not be stopped then by what comes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        self._loop = loop
        self._channel = channel
        self._turns = self._stopped = False
        self._listened_to: int | None = None
        """The channel's descriptor, while the loop has a reader for it: to make one anew for each batch costs
        as much as to read it."""
        channel.on_waiting = self.stop

    def turn(self) -> None:
        """Let the loop turn until there is something to receive, the connection has ended, or `stop`."""
        if self._channel.is_waiting:
            return
        if self._listened_to is None:
            descriptor = self._channel.fileno()
            self._loop.add_reader(descriptor, self._hear)
            self._listened_to = descriptor
        self._turns, self._stopped = True, False
        try:
            while not self._stopped:
                try:
                    self._loop.run_forever()
                    self._stopped = True
                except STRAY as error:
                    report_stray(error)
        finally:
            self._turns = False

    def stop(self) -> None:
        """Let it turn no more, if it does."""
        if self._turns:
            self._stopped = True
            self._loop.stop()

    def close(self) -> None:
        """Listen no more."""
        self._channel.on_waiting = None
        self._stop_listening()

    def _hear(self) -> None:
        if self._turns:
            self.stop()
        else:  # it is not received before the coroutine is done, and need not be told again and again
            self._stop_listening()

    def _stop_listening(self) -> None:
        descriptor, self._listened_to = self._listened_to, None
        if descriptor is not None:
            self._loop.remove_reader(descriptor)
