# SPDX-License-Identifier: Apache-2.0
"""HTTP for asyncio: a pool of connections that httptools, the parser of Node.js, reads.

Measured with 64 requests in flight, aiohttp costs a request four times as much.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from typing import Any, Final

import httptools

from pytriton.client import _failures
from pytriton.client import _operations as ops
from pytriton.client._flow import Exchange
from pytriton.client._http_body import body_buffer, compressed, decompressed, message_of
from pytriton.client._settings import Settings
from pytriton.client._wire import HttpReply, decode, encode
from pytriton.client.exceptions import PyTritonClientClosedError
from pytriton.client.options import Tls

__all__ = ["AsyncHttpTransport"]

_CONNECTIONS: Final = 128


class AsyncHttpTransport:
    """Connections to one server for the tasks of one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        self._target = settings.target
        self._tls = (settings.tls or Tls()).context() if settings.url.is_encrypted else None
        self._loop = asyncio.get_running_loop()
        self._idle: collections.deque[_Connection] = collections.deque()
        self._open: set[_Connection] = set()
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._closed = False

    async def exchange(self, command: Exchange) -> Any:
        """Send an operation and wait for its result."""
        operation = command.operation
        compression = operation.compression if isinstance(operation, ops.Infer) else None
        request = compressed(encode(operation), compression)
        deadline = self._loop.time() + command.timeout_s
        stage = "waiting for a free connection to"
        try:
            message = message_of(request, self._url.without_scheme, command.headers)
            await self._limited(self._places.acquire(), deadline, at_once=not self._places.locked())
            try:
                stage = "connecting to"
                connection = await self._take(deadline)
                stage = "waiting for an answer from"
                try:
                    reply = await connection.ask(message, deadline)
                finally:
                    self._give_back(connection)
            finally:
                self._places.release()
            reply.body = decompressed(reply.body, reply.headers)
        except (OSError, asyncio.TimeoutError, _failures.NotHttp, ValueError) as error:
            # Up to Python 3.10 asyncio has a TimeoutError of its own.
            cause = TimeoutError() if isinstance(error, asyncio.TimeoutError) else error
            raise _failures.from_http_failure(
                cause, stage, command, self._target, closed=self._closed
            ) from error
        return decode(operation, reply, command.what)

    async def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        self._closed = True
        self._idle.clear()
        lost = [connection.lost for connection in self._open]
        for connection in list(self._open):
            connection.abort()
        if lost:
            await asyncio.wait(lost, timeout=1.0)

    def abandon(self) -> None:
        """Give up connections whose event loop has ended."""
        self._closed = True
        for connection in list(self._open):
            with contextlib.suppress(RuntimeError):
                connection.abort()

    async def _take(self, deadline: float) -> _Connection:
        if self._closed:
            raise PyTritonClientClosedError(f"The client of {self._target} is closed.")
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost.done():
                return connection
        connecting = self._loop.create_connection(
            lambda: _Connection(self._loop), self._url.hostname, self._url.port, ssl=self._tls
        )
        _, connected = await self._limited(connecting, deadline)
        fresh: _Connection = connected
        self._open.add(fresh)
        fresh.lost.add_done_callback(lambda _: self._open.discard(fresh))
        return fresh

    def _give_back(self, connection: _Connection) -> None:
        if connection.is_reusable and not self._closed:
            self._idle.append(connection)
        else:
            connection.abort()

    async def _limited(self, awaitable: Any, deadline: float, *, at_once: bool = False) -> Any:
        if at_once:
            return await awaitable
        return await asyncio.wait_for(awaitable, max(deadline - self._loop.time(), 0.001))


class _Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lost: asyncio.Future[None] = loop.create_future()
        self.is_reusable = False
        self._loop = loop
        self._answer: asyncio.Future[HttpReply] | None = None

    async def ask(self, message: list[Any], deadline: float) -> HttpReply:
        """Send a request and wait for the reply."""
        if self.lost.done():
            raise ConnectionResetError
        self.is_reusable = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: Any = None
        self._position = 0
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

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if self._answer is not None and not self._answer.done():
            if self._body is not None and not isinstance(self._body, memoryview) and error is None:
                self.on_message_complete()  # a body without a length lasts as long as its connection
            else:
                self._answer.set_exception(error or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self._transport.abort()  # nobody asked
        elif self._position:
            self._fill(data)
        else:
            self._parse(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, from the parser."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body comes next, says the parser."""
        self._keep_alive = self._parser.should_keep_alive()
        self._status = self._parser.get_status_code()
        length = self._headers.get("content-length")
        if length is None or "transfer-encoding" in self._headers:
            self._body = bytearray()
        else:
            self._body = body_buffer(int(length), self._headers)

    def on_body(self, data: bytes) -> None:
        """A part of the body, from the parser."""
        if isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body[self._position : self._position + len(data)] = data
            self._position += len(data)

    def on_message_complete(self) -> None:
        """The reply is there, says the parser."""
        if self._answer is not None and not self._answer.done():
            self.is_reusable = self._keep_alive
            self._answer.set_result(HttpReply(self._status, self._headers, self._body))

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
            self.is_reusable = False
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(_failures.NotHttp(data[:80].decode("latin-1")))

    def _fill(self, data: bytes) -> None:
        # What remains of a body of known length needs no parser.
        end = self._position + len(data)
        if end > len(self._body):
            self.abort()
            return
        self._body[self._position : end] = data
        self._position = end
        if end == len(self._body):
            self.on_message_complete()

    def _expire(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())
            self._transport.abort()
