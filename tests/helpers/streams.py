# SPDX-License-Identifier: Apache-2.0
"""Streams of responses, over gRPC with NVIDIA's own client and over HTTP as server-sent events."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from tests.helpers.clients import Array, inputs_for
from tests.helpers.server import LOCAL, TIMEOUT_S, Address

__all__ = ["Event", "GrpcStream", "grpc_stream", "rows", "sse", "stream", "stream_sse"]

_DATA: Final = "data: "


class Event(NamedTuple):
    """One response of a stream; the final one has no outputs."""

    request_id: str
    outputs: dict[str, Array]
    parameters: dict[str, Any]
    final: bool


class GrpcStream:
    """One bidirectional stream, which any number of requests share."""

    def __init__(self, client: tritonclient.grpc.InferenceServerClient) -> None:
        self._client = client
        self._events: queue.SimpleQueue[tuple[Any, InferenceServerException | None]] = queue.SimpleQueue()

    def send(self, model: str, arrays: Mapping[str, Array], request_id: str = "", **options: Any) -> None:
        """Send a request."""
        self._client.async_stream_infer(
            model,
            inputs_for("grpc", arrays),
            request_id=request_id,
            enable_empty_final_response=True,
            **options,
        )

    def receive(self, timeout_s: float = TIMEOUT_S) -> Event:
        """The next response to any of the requests; raises the error if it is one."""
        result, error = self._events.get(timeout=timeout_s)
        if error is not None:
            raise error
        response = result.get_response()
        parameters = {name: _value(value) for name, value in response.parameters.items()}
        final = parameters.pop("triton_final_response")
        outputs = {output.name: result.as_numpy(output.name) for output in response.outputs}
        return Event(response.id, outputs, parameters, final)

    def until_final(self) -> Iterator[Event]:
        """The responses up to the next final one, which is left out when it is empty."""
        while not (event := self.receive()).final:
            yield event
        assert event.outputs == {}

    def note(self, result: Any, error: InferenceServerException | None) -> None:
        """Callback of the client."""
        self._events.put((result, error))


@contextlib.contextmanager
def grpc_stream(server: Address, *, drop: bool = False, **options: Any) -> Iterator[GrpcStream]:
    """A stream of its own client; leaving the block waits for what is under way, or drops it.

    The bundled server can be brought down by a client that drops a stream just as it ends, so tests drop only
    those that would go on.
    """
    client = server.grpc()
    opened = GrpcStream(client)
    client.start_stream(opened.note, **options)
    try:
        yield opened
    finally:
        client.stop_stream(cancel_requests=drop)


def stream(server: Address, model: str, arrays: Mapping[str, Array], **options: Any) -> list[Event]:
    """All responses to one request."""
    with grpc_stream(server) as opened:
        opened.send(model, arrays, **options)
        return list(opened.until_final())


@contextlib.contextmanager
def sse(server: Address, model: str, document: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The events that answer one request as they come; leaving the block hangs up."""
    connection = http.client.HTTPConnection(LOCAL, server.http_port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("POST", f"/v2/models/{model}/generate_stream", json.dumps(document))
        response = connection.getresponse()
        with contextlib.closing(response):
            yield _events(response)


def stream_sse(server: Address, model: str, document: Any) -> list[dict[str, Any]]:
    """All events that answer one request."""
    with sse(server, model, document) as events:
        return list(events)


def rows(*values: float) -> Array:
    """One column of numbers, as a batch."""
    return np.array(values, np.float32).reshape(-1, 1)


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in response:
        text = line.decode().rstrip("\n")
        if text:
            assert text.startswith(_DATA), text
            yield json.loads(text.removeprefix(_DATA))


def _value(parameter: Any) -> Any:
    return getattr(parameter, parameter.WhichOneof("parameter_choice"))
