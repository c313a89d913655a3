# SPDX-License-Identifier: Apache-2.0
"""A request of asyncio's HTTP that is answered bit by bit, as server-sent events."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pytriton.client._core import failures
from pytriton.client._core.flow import Exchange
from pytriton.client._http.events import EventReader, raise_for_status
from pytriton.client._http.reader import ReplyReader

if TYPE_CHECKING:
    from pytriton.client._http.transport_aio import AioConnection

__all__ = ["AsyncHttpStreamCall"]

_MANY: Final = 64


class AsyncHttpStreamCall:
    """A request that has been sent, whose events must each come in time."""

    def __init__(
        self,
        connection: AioConnection,
        command: Exchange,
        timeout_s: float | None,
        failure: Callable[[Exception, str], Exception],
        give_back: Callable[[AioConnection], None],
    ) -> None:
        """Take a connection on which the request has been sent.

        Args:
            connection: The connection.
            command: What is asked; its timeout is that of each response.
            timeout_s: Time that is left for all responses together.
            failure: Makes an exception of ours of one that came at a stage.
            give_back: What is done with the connection in the end.
        """
        self._connection = connection
        self._command = command
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._end = None if timeout_s is None else self._loop.time() + timeout_s
        self._failure = failure
        self._give_back = give_back
        self._events: collections.deque[bytes] = collections.deque()
        self._event_reader = EventReader()
        self._error: Exception | None = None
        self._came = asyncio.Event()
        self._is_over = False

    async def read(self) -> bytes | None:
        """The next event; None if there are no more."""
        if not self._events and not self._is_over:
            await self._wait()
        if self._events:
            self._flow()
            return self._events.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    def cancel(self) -> None:
        """Want no more: the server sees that the connection ends."""
        self._finish(None)

    def heard(self, reader: ReplyReader) -> None:
        """Called by the connection when more has been read."""
        if not reader.has_begun or self._is_over:
            return
        try:
            if reader.status != 200:
                if reader.is_complete:
                    raise_for_status(reader.reply(), self._command.what)
                return
            self._events.extend(self._event_reader.feed(reader.take()))
            if not reader.is_complete:
                self._flow()
            elif self._event_reader.is_between:
                self._finish(None)
            else:
                raise ConnectionResetError
        except Exception as error:
            self.failed(error)
        self._came.set()

    def failed(self, error: Exception) -> None:
        """Called by the connection when it has ended."""
        self._finish(self._failure(error, "waiting for an answer from"))

    def _flow(self) -> None:
        if not self._is_over:  # else the connection is somebody else's
            self._connection.flow(len(self._events) <= _MANY)

    def _finish(self, error: Exception | None) -> None:
        if not self._is_over:
            self._is_over, self._error = True, error
            if self._connection.is_reusable:
                self._connection.flow(True)  # who has it next wants to hear
            self._give_back(self._connection)
            self._came.set()

    async def _wait(self) -> None:
        now = self._loop.time()
        deadline = now + self._command.timeout_s
        last = self._end is not None and self._end < deadline
        if self._end is not None and last:
            deadline = self._end
        try:
            while not self._events and not self._is_over:
                self._came.clear()
                await asyncio.wait_for(self._came.wait(), max(deadline - self._loop.time(), 0.001))
        except asyncio.TimeoutError:
            self._finish(failures.late(self._command, self._timeout_s if last else None))
