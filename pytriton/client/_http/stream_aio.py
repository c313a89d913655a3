# SPDX-License-Identifier: Apache-2.0
"""A request of asyncio's HTTP that is answered bit by bit, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pytriton.client._http.connection_aio import AioConnection
from pytriton.client._http.events import EventReader
from pytriton.client._http.reader import ReplyReader
from pytriton.client._http.response_times import ResponseTimes

__all__ = ["AsyncHttpStreamCall"]

_MANY: Final = 64


class AsyncHttpStreamCall:
    """A request that has been sent, whose events must each come in time."""

    def __init__(
        self,
        connection: AioConnection,
        what: str,
        times: ResponseTimes,
        failure: Callable[[Exception, str], Exception],
        give_back: Callable[[AioConnection], None],
    ) -> None:
        """Take a connection on which the request has been sent.

        Args:
            connection: The connection.
            what: Beginning of messages.
            times: Until when responses must come, by the event loop's clock.
            failure: Makes an exception of ours of one that came at a stage.
            give_back: What is done with the connection in the end.
        """
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._times = times
        self._failure = failure
        self._give_back = give_back
        self._events = EventReader(what)
        self._error: Exception | None = None
        self._came = asyncio.Event()
        self._is_over = False

    async def read(self) -> bytes | None:
        """The next event; None if there are no more."""
        if not self._events.ready and not self._is_over:
            await self._wait()
        if self._events.ready:
            self._flow()
            return self._events.ready.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    def cancel(self) -> None:
        """Want no more: the server sees that the connection ends."""
        self._finish(None)

    def heard(self, reader: ReplyReader) -> None:
        """Called by the connection when more has been read."""
        if self._is_over:
            return
        try:
            self._events.hear(reader)
            if reader.is_complete:
                self._events.end()
                self._finish(None)
            else:
                self._flow()
        except Exception as error:
            self.failed(error)
        self._came.set()

    def failed(self, error: Exception) -> None:
        """Called by the connection when it has ended."""
        self._finish(self._failure(error, "waiting for an answer from"))

    def _flow(self) -> None:
        if not self._is_over:  # else the connection is somebody else's
            self._connection.flow(len(self._events.ready) <= _MANY)

    def _finish(self, error: Exception | None) -> None:
        if not self._is_over:
            self._is_over, self._error = True, error
            if self._connection.is_reusable:
                self._connection.flow(True)  # who has it next wants to hear
            self._give_back(self._connection)
            self._came.set()

    async def _wait(self) -> None:
        deadline = self._times.deadline(self._loop.time())
        try:
            while not self._events.ready and not self._is_over:
                self._came.clear()
                await asyncio.wait_for(self._came.wait(), max(deadline - self._loop.time(), 0.001))
        except asyncio.TimeoutError:
            self._finish(self._times.late())
