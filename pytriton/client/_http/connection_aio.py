# SPDX-License-Identifier: Apache-2.0
"""One connection of HTTP for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pytriton.client._http.reader import ReplyReader
from pytriton.client._http.wire import HttpReply

if TYPE_CHECKING:
    from pytriton.client._http.stream_aio import AsyncHttpStreamCall

__all__ = ["AioConnection"]


class AioConnection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lost: asyncio.Future[None] = loop.create_future()
        self.is_reusable = False
        self._loop = loop
        self._reader = ReplyReader()
        self._answer: asyncio.Future[HttpReply] | None = None
        self._stream: AsyncHttpStreamCall | None = None
        self._is_paused = False

    async def ask(self, message: list[Any], deadline: float) -> HttpReply:
        """Send a request and wait for the reply."""
        if self.lost.done():
            raise ConnectionResetError
        self.is_reusable = False
        self._reader = ReplyReader()
        answer = self._answer = self._loop.create_future()
        expiry = self._loop.call_at(deadline, self._expire)
        try:
            for piece in message:
                self._transport.write(piece)
            reply: HttpReply = await answer
            return reply
        finally:
            self._answer = None
            expiry.cancel()

    def send(self, message: list[Any], stream: AsyncHttpStreamCall) -> None:
        """Send a request whose reply is for a stream."""
        self.is_reusable = False
        self._reader = ReplyReader()
        self._stream = stream
        for piece in message:
            self._transport.write(piece)

    def flow(self, wanted: bool) -> None:
        """Read on, or wait until more is wanted."""
        if wanted == self._is_paused and not self._transport.is_closing():
            self._is_paused = not wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        try:
            if error is not None:
                raise error
            self._reader.end()
        except Exception as cause:
            self._fail(cause)
        else:
            self._settle()

    def data_received(self, data: bytes) -> None:
        if self._stream is None and (self._answer is None or self._answer.done()):
            self._transport.abort()  # nobody asked
            return
        try:
            self._reader.feed(data)
        except Exception as error:  # whatever it is: nobody but who asked can be told
            self._fail(error)
        else:
            self._settle()

    def _settle(self) -> None:
        reader = self._reader
        if (stream := self._stream) is not None:
            if reader.is_complete:
                self.is_reusable, self._stream = reader.keeps_open, None
            stream.heard(reader)
        elif reader.is_complete and self._answer is not None and not self._answer.done():
            self.is_reusable = reader.keeps_open
            self._answer.set_result(reader.reply())

    def _fail(self, error: Exception) -> None:
        if (stream := self._stream) is not None:
            self._stream = None
            stream.failed(error)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _expire(self) -> None:
        self._fail(TimeoutError())
        self._transport.abort()
