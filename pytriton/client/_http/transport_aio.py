# SPDX-License-Identifier: Apache-2.0
"""HTTP for asyncio: a pool of connections each for one request at a time.

Measured with 64 requests in flight, aiohttp costs a request four times as much.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from typing import Any, Final

from pytriton.client._core import failures
from pytriton.client._core import operations as ops
from pytriton.client._core.flow import LONGEST_S, Exchange
from pytriton.client._core.settings import Settings
from pytriton.client._http.body import compressed, decompressed, message_of
from pytriton.client._http.connection_aio import AioConnection
from pytriton.client._http.response_times import ResponseTimes
from pytriton.client._http.stream_aio import AsyncHttpStreamCall
from pytriton.client._http.wire import decode, encode
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
        self._idle: collections.deque[AioConnection] = collections.deque()
        self._open: set[AioConnection] = set()
        self._connecting: set[asyncio.Task[Any]] = set()
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
        except (OSError, asyncio.TimeoutError, failures.NotHttp, ValueError) as error:
            # Up to Python 3.10 asyncio has a TimeoutError of its own.
            cause = TimeoutError() if isinstance(error, asyncio.TimeoutError) else error
            raise failures.from_http_failure(
                cause, stage, command, self._target, closed=self._closed
            ) from error
        return decode(operation, reply, command.what)

    async def stream(self, command: Exchange, timeout_s: float | None) -> AsyncHttpStreamCall:
        """Send a request whose responses are read one by one, within `timeout_s` all together."""
        begin = self._loop.time()
        times, sending = ResponseTimes(command, timeout_s, begin), command.within(timeout_s)

        def failure(error: Exception, stage: str) -> Exception:
            return failures.from_http_failure(error, stage, sending, self._target, closed=self._closed)

        message = message_of(encode(command.operation), self._url.without_scheme, command.headers)
        try:
            connection = await self._take(begin + sending.timeout_s)
            call = AsyncHttpStreamCall(connection, command.what, times, failure, self._give_back)
            connection.send(message, call)
            return call
        except (OSError, asyncio.TimeoutError) as error:
            cause = TimeoutError() if isinstance(error, asyncio.TimeoutError) else error
            raise failure(cause, failures.CONNECTING) from error

    async def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        self._closed = True
        self._idle.clear()
        ending = [*self._connecting, *(connection.lost for connection in self._open)]
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.abort()
        if ending:
            await asyncio.wait(ending, timeout=1.0)

    def abandon(self) -> None:
        """Give up connections whose event loop has ended."""
        self._closed = True
        for connection in list(self._open):
            with contextlib.suppress(RuntimeError):
                connection.abort()

    async def _take(self, deadline: float) -> AioConnection:
        if self._closed:
            raise PyTritonClientClosedError(f"The client of {self._target} is closed.")
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost.done():
                return connection
        return await self._connect(deadline)

    async def _connect(self, deadline: float) -> AioConnection:
        connecting = self._loop.create_task(self._connected())
        self._connecting.add(connecting)
        connecting.add_done_callback(self._end_connecting)
        try:
            await asyncio.wait((connecting,), timeout=max(deadline - self._loop.time(), 0.001))
            if not connecting.done():
                raise TimeoutError
            if connecting.cancelled():  # by close()
                raise ConnectionAbortedError
            return connecting.result()
        except BaseException:
            if not connecting.cancel() and not connecting.cancelled() and connecting.exception() is None:
                connecting.result().abort()
            raise

    def _end_connecting(self, task: asyncio.Task[AioConnection]) -> None:
        self._connecting.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits for it has it

    async def _connected(self) -> AioConnection:
        encryption: Any = {}
        if self._tls is not None:
            # The deadline is ours alone.
            encryption = {"ssl": self._tls, "ssl_handshake_timeout": LONGEST_S}
        _, fresh = await self._loop.create_connection(
            lambda: AioConnection(self._loop), self._url.hostname, self._url.port, **encryption
        )
        self._open.add(fresh)
        fresh.lost.add_done_callback(lambda _: self._open.discard(fresh))
        return fresh

    def _give_back(self, connection: AioConnection) -> None:
        if connection.is_reusable and not self._closed and len(self._idle) < _CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.abort()

    async def _limited(self, awaitable: Any, deadline: float, *, at_once: bool = False) -> Any:
        if at_once:
            return await awaitable
        return await asyncio.wait_for(awaitable, max(deadline - self._loop.time(), 0.001))
