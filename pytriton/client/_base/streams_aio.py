# SPDX-License-Identifier: Apache-2.0
"""The responses to one request of a streaming model, as asynchronous iterators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from pytriton.client._core.flow_aio import is_being_cancelled
from pytriton.client._core.stream_request import StreamRequest
from pytriton.client._core.tensors import Array
from pytriton.client.exceptions import PyTritonClientError

__all__ = ["AsyncResponses", "AsyncStreamCall"]

Outputs = dict[str, Array]


class AsyncStreamCall(Protocol):
    """A request under way of one event loop, answered bit by bit; its exceptions are the clients'."""

    async def read(self) -> Any:
        """The next response, for StreamRequest.outputs; None if there are no more."""

    def cancel(self) -> None:
        """Want no more."""


class AsyncResponses(AsyncIterator[Outputs]):
    """Responses to one request, as they come; closing it early cancels the request on the server.

    async for outputs in client.infer_sample("prompt"):
        print(outputs["token"])
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[tuple[StreamRequest, Callable[[], Awaitable[AsyncStreamCall]]]]],
        finish: Callable[[Outputs], Outputs],
        failed: Callable[[PyTritonClientError], PyTritonClientError],
    ) -> None:
        """Send nothing yet.

        Args:
            begin: Gives the request, and what sends it, at the first iteration.
            finish: What is done with each response.
            failed: Gives the exception to raise in place of one.
        """
        self._failed = failed
        self._begin = begin
        self._finish = finish
        self._request: StreamRequest | None = None
        self._call: Any = None
        self._turn = asyncio.Lock()
        self._over = False

    def __aiter__(self) -> AsyncResponses:
        return self

    async def __anext__(self) -> Outputs:
        async with self._turn:  # each of several tasks has a response to itself
            return await self._next()

    async def _next(self) -> Outputs:
        if self._over:
            raise StopAsyncIteration
        try:
            request = self._request or await self._start()
            data = await self._call.read()
            if data is not None:
                return self._finish(request.outputs(data))
        except PyTritonClientError as error:
            if self._over:  # by another task
                raise StopAsyncIteration from None
            self._cancel()
            raise self._failed(error) from error.__cause__
        except asyncio.CancelledError:
            # gRPC cancels who waits for a call that is cancelled.
            if not is_being_cancelled() and self._over:
                raise StopAsyncIteration from None
            self._cancel()
            raise
        except BaseException:
            self._cancel()
            raise
        self._over = True
        request.end(complete=True)
        raise StopAsyncIteration

    async def _start(self) -> StreamRequest:
        self._request, send = await self._begin()
        if not self._over:
            self._call = await send()
        if self._over:  # by another task
            self._cancel()
            raise StopAsyncIteration
        return self._request

    async def aclose(self) -> None:
        """Want no more responses; the server is told."""
        self._cancel()

    def _cancel(self) -> None:
        self._over = True
        if self._call is not None:
            self._call.cancel()
        if self._request is not None:
            self._request.end(complete=False)

    def __del__(self) -> None:
        if not getattr(self, "_over", True):
            self._cancel()
