# SPDX-License-Identifier: Apache-2.0
"""The blocking client of one model."""

from __future__ import annotations

from pytriton.client._base.client_blocking import BlockingClient
from pytriton.client._core.request import Call
from pytriton.client._core.tensors import Array

__all__ = ["ModelClient"]


class ModelClient(BlockingClient[dict[str, Array]]):
    """Asks one model over HTTP or gRPC; any number of threads may share a client.

    For example:

    with ModelClient("localhost", "Linear") as client:
        one = client.infer_sample([1, 2])
        many = client.infer_batch([[1, 2], [3, 4]])
        print(one["scores"], many["scores"])

    `infer_sample` takes and returns arrays without the batch dimension, `infer_batch` with it: both return a
    dict of NumPy arrays by the names of the outputs. Inputs are checked against the model before anything is
    sent (PyTritonClientValueError). All exceptions are in `pytriton.client.exceptions`, below
    PyTritonClientError; `Tls`, `Retry` and `InferOptions` are in `pytriton.client.options`.
    """

    def _infer(self, call: Call) -> dict[str, Array]:
        self._ready()
        return self._run(self._session.infer(call))
