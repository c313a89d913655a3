# SPDX-License-Identifier: Apache-2.0
"""The blocking client of one streaming model."""

from __future__ import annotations

from pytriton.client._base.client_blocking import BlockingClient
from pytriton.client._base.streams import Responses
from pytriton.client._core.request import Call

__all__ = ["DecoupledModelClient"]


class DecoupledModelClient(BlockingClient[Responses]):
    """Asks a model that gives any number of responses to a request (decoupled), over gRPC or HTTP.

    Its methods return iterators; each response must come within `inference_timeout_s`, and all of them within
    `InferOptions.timeout_s` if that is given. Any number of them may be under way at the same time, in any
    number of threads. For example:

    with DecoupledModelClient("grpc://localhost", "Story") as client:
        for outputs in client.infer_sample("Once upon a time"):
            print(outputs["text"])

    Leaving an iterator early, by `close()` or the end of a `with` block, cancels the request on the server.
    Over HTTP (`/generate_stream`) tensors are text and have no shape of their own: what that cannot carry is
    refused with a PyTritonClientValueError before anything is sent.
    """

    def _infer(self, call: Call) -> Responses:
        self._ready()
        signature = self._session.signature
        request = self._run(self._session.stream(call))
        return Responses(
            lambda: self._open().stream(request.command, call.options.timeout_s),
            request,
            lambda outputs: signature.debatched(outputs, call),
            self._session.learn,
        )
