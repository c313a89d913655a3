# SPDX-License-Identifier: Apache-2.0
"""The blocking client of one streaming model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pytriton.client._blocking import BlockingClient
from pytriton.client._request import Call
from pytriton.client._session import Session
from pytriton.client._settings import Settings
from pytriton.client.exceptions import PyTritonClientValueError

if TYPE_CHECKING:
    from pytriton.client._grpc import GrpcTransport
    from pytriton.client._streams import Responses

__all__ = ["DecoupledModelClient"]


class DecoupledModelClient(BlockingClient["Responses"]):
    """Asks a model that gives any number of responses to a request (decoupled), over gRPC.

    Its methods return iterators; each response must come within `inference_timeout_s`. Any number of them may
    be under way at the same time, in any number of threads. For example:

    with DecoupledModelClient("grpc://localhost", "Story") as client:
        for outputs in client.infer_sample("Once upon a time"):
            print(outputs["text"])
    """

    def _infer(self, call: Call) -> Responses:
        from pytriton.client._streams import Responses

        self._ready()
        signature = self._session.signature
        request = self._run(self._session.stream(call))
        transport = cast("GrpcTransport", self._open())
        return Responses(
            transport, request, call.options.timeout_s, lambda outputs: signature.debatched(outputs, call)
        )

    def _start(self, settings: Settings, session: Session, lazy_init: bool) -> None:
        check_protocol(settings)
        super()._start(settings, session, lazy_init)


def check_protocol(settings: Any) -> None:
    """Streams of tensors there are over gRPC only."""
    if settings.url.protocol != "grpc":
        raise PyTritonClientValueError(
            f"Decoupled models are asked over gRPC, got {settings.target}; "
            "use grpc://host:port, where the port is 8001 by default."
        )
