# SPDX-License-Identifier: Apache-2.0
"""The asyncio client of one streaming model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pytriton.client._base.client_aio import AsyncClient
from pytriton.client._base.streams_aio import AsyncResponses, AsyncStreamCall
from pytriton.client._core.request import Call
from pytriton.client._core.stream_request import StreamRequest
from pytriton.client._core.tensors import Array

__all__ = ["AsyncioDecoupledModelClient"]


class AsyncioDecoupledModelClient(AsyncClient[AsyncResponses]):
    """Asks a model that gives any number of responses to a request (decoupled), over gRPC or HTTP.

    Its methods return asynchronous iterators; each response must come within `inference_timeout_s`, and all
    of them within `InferOptions.timeout_s` if that is given. Any number of them may be under way at a time.
    For example:

    async with AsyncioDecoupledModelClient("grpc://localhost", "Story") as client:
        async for outputs in client.infer_sample("Once upon a time"):
            print(outputs["text"])

    Leaving an iterator early, by `await aclose()`, cancels the request on the server. Over HTTP
    (`/generate_stream`) tensors are text and have no shape of their own: what that cannot carry is refused
    with a PyTritonClientValueError before anything is sent.
    """

    def _infer(
        self, inputs: Any, named: Any, parameters: Any, headers: Any, options: Any, *, is_batch: bool
    ) -> AsyncResponses:
        call: Call | None = None

        async def begin() -> tuple[StreamRequest, Callable[[], Awaitable[AsyncStreamCall]]]:
            nonlocal call
            call = Call.create(inputs, named, parameters, headers, options, is_batch=is_batch)
            timeout_s = call.options.timeout_s
            await self._ready()
            request = await self._run(self._session.stream(call))
            return request, lambda: self._open().stream(request.command, timeout_s)

        def finish(outputs: dict[str, Array]) -> dict[str, Array]:
            assert call is not None
            return self._session.signature.debatched(outputs, call)

        return AsyncResponses(begin, finish, self._session.learn)
