# SPDX-License-Identifier: Apache-2.0
"""A collector of OpenTelemetry that keeps the spans it gets."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pytriton.telemetry.tracing import get_telemetry_tracer

__all__ = ["Collector", "Span", "collecting"]

_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class Span:
    """What came of a span; the status is 0 unset, 1 ok, 2 error."""

    name: str
    trace: str
    id: str
    parent: str
    status: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)


class Collector:
    """The spans of all programs, in the order in which they came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self._changed = threading.Condition()

    def add(self, spans: list[Span]) -> None:
        """Take some in."""
        with self._changed:
            self.spans += spans
            self._changed.notify_all()

    def wait_for(self, name: str, accept: Callable[[Span], bool] = lambda span: True) -> Span:
        """The first span of this name that is accepted, once it is there."""

        def found() -> Span | None:
            return next((span for span in self.spans if span.name == name and accept(span)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, _TIMEOUT_S), (
                f"no span {name!r} among {[span.name for span in self.spans]}"
            )
            span = found()
        assert span is not None
        return span


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the length of a block; it waits for what the tracer of this process has to send."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.add(list(_spans(body, self.headers["Content-Type"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield collector
            tracer: Any = get_telemetry_tracer()
            if tracer is not None:
                tracer.span_processor.shutdown()
        finally:
            server.shutdown()
            thread.join()


def _spans(body: bytes, content_type: str) -> Iterator[Span]:
    to_hex: Callable[[str], str]
    if "json" in content_type:
        document, to_hex = json.loads(body), str.lower
    else:
        message = ExportTraceServiceRequest.FromString(body)
        document, to_hex = MessageToDict(message, use_integers_for_enums=True), _hex_of_base64
    for resource in document.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield Span(
                    span["name"],
                    to_hex(span["traceId"]).lower(),
                    to_hex(span["spanId"]).lower(),
                    to_hex(span.get("parentSpanId", "")).lower(),
                    int(span.get("status", {}).get("code", 0)),
                    {each["key"]: next(iter(each["value"].values())) for each in span.get("attributes", ())},
                )


def _hex_of_base64(text: str) -> str:
    return base64.b64decode(text).hex()
