# SPDX-License-Identifier: Apache-2.0
"""Spans for models of Triton's own Python backend."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pytriton.telemetry.tracing import build_proxy_tracer_from_triton_config, end_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["TracableModel"]

_SPAN: Final = "python_backend_execute"


class TracableModel:
    """Base of a `TritonPythonModel` that traces its requests; models that are bound need nothing of it."""

    def __init__(self) -> None:
        self._open_telemetry_tracer: Tracer | None = None

    def configure_tracing(self, trace_config: str) -> None:
        """Set tracing up.

        Args:
            trace_config: Settings of the server, TritonConfig.trace_config, as JSON in base64.
        """
        try:
            settings = json.loads(base64.b64decode(trace_config))
            self._open_telemetry_tracer = build_proxy_tracer_from_triton_config(settings)
        except Exception as error:
            raise ValueError(f"Failed to configure tracing: {error}") from error

    def start_requests_spans(self, triton_requests: Sequence[Any]) -> list[Span] | None:
        """Start a span for each request of the Python backend; None without tracing."""
        tracer = self._open_telemetry_tracer
        if tracer is None:
            return None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carriers = [json.loads(request.trace().get_context() or "{}") for request in triton_requests]
        propagator = TraceContextTextMapPropagator()
        return [tracer.start_span(_SPAN, context=propagator.extract(carrier)) for carrier in carriers]

    def end_requests_spans(self, spans: Sequence[Span] | None, triton_responses_or_error: Any) -> None:
        """End the spans; as failed, if an exception is what came out."""
        error = triton_responses_or_error if isinstance(triton_responses_or_error, Exception) else None
        for span in spans or ():
            end_span(span, error)
