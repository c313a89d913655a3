# SPDX-License-Identifier: Apache-2.0
"""The asyncio client of one streaming model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pytriton.client._async import AsyncClient
from pytriton.client._request import Call
from pytriton.client._tensors import Array
from pytriton.client.decoupled_model_client import check_protocol

if TYPE_CHECKING:
    from pytriton.client._grpc_aio import AsyncGrpcTransport
    from pytriton.client._inference import StreamRequest
    from pytriton.client._streams import AsyncResponses

__all__ = ["AsyncioDecoupledModelClient"]


class AsyncioDecoupledModelClient(AsyncClient["AsyncResponses"]):
    """Asks a model that gives any number of responses to a request (decoupled), over gRPC.

    Its methods return asynchronous iterators; each response must come within `inference_timeout_s`. Any
    number of them may be under way at the same time. For example:

    async with AsyncioDecoupledModelClient("grpc://localhost", "Story") as client:
        async for outputs in client.infer_sample("Once upon a time"):
            print(outputs["text"])
    """

    def _infer(
        self, inputs: Any, named: Any, parameters: Any, headers: Any, options: Any, *, is_batch: bool
    ) -> AsyncResponses:
        call: Call | None = None

        async def begin() -> tuple[AsyncGrpcTransport, StreamRequest, float | None]:
            nonlocal call
            check_protocol(self._settings)
            call = Call.create(inputs, named, parameters, headers, options, is_batch=is_batch)
            await self._ready()
            request = await self._run(self._session.stream(call))
            return cast("AsyncGrpcTransport", self._open()), request, call.options.timeout_s

        def finish(outputs: dict[str, Array]) -> dict[str, Array]:
            assert call is not None
            return self._session.signature.debatched(outputs, call)

        from pytriton.client._streams import AsyncResponses

        return AsyncResponses(begin, finish)
