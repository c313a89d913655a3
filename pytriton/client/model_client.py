# SPDX-License-Identifier: Apache-2.0
"""The blocking client of one model."""

from __future__ import annotations

from pytriton.client._blocking import BlockingClient
from pytriton.client._request import Call
from pytriton.client._tensors import Array

__all__ = ["ModelClient"]


class ModelClient(BlockingClient[dict[str, Array]]):
    """Asks one model over HTTP or gRPC; any number of threads may share a client.

    For example:

    with ModelClient("localhost", "Linear") as client:
        result = client.infer_batch(features)
        print(result["scores"])
    """

    def _infer(self, call: Call) -> dict[str, Array]:
        self._ready()
        return self._run(self._session.infer(call))
