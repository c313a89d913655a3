# SPDX-License-Identifier: Apache-2.0
"""The asyncio client of one model."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from pytriton.client._base.client_aio import AsyncClient
from pytriton.client._core.request import Call
from pytriton.client._core.tensors import Array

__all__ = ["AsyncioModelClient"]


class AsyncioModelClient(AsyncClient[Coroutine[Any, Any, dict[str, Array]]]):
    """Asks one model over HTTP or gRPC, from any number of tasks at the same time.

    For example:

    async with AsyncioModelClient("localhost", "Linear") as client:
        result = await client.infer_batch(features)
        print(result["scores"])
    """

    async def _infer(
        self, inputs: Any, named: Any, parameters: Any, headers: Any, options: Any, *, is_batch: bool
    ) -> dict[str, Array]:
        call = Call.create(inputs, named, parameters, headers, options, is_batch=is_batch)
        await self._ready()
        return await self._run(self._session.infer(call))
