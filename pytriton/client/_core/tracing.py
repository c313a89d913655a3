# SPDX-License-Identifier: Apache-2.0
"""The caller's span, for the server and the function behind it; nothing where OpenTelemetry is not in use."""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["in_context", "with_span"]

# Whoever has a span has imported this; so it is never imported for those who have none.
_OPENTELEMETRY: Final = "opentelemetry.trace"


def with_span(headers: dict[str, str]) -> Mapping[str, str]:
    """Headers, and those of W3C trace context if a span is active and none are given."""
    trace = sys.modules.get(_OPENTELEMETRY)
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        return headers
    if any(name.lower() == "traceparent" for name in headers):
        return headers
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    TraceContextTextMapPropagator().inject(headers)
    return headers


def in_context(function: Callable[[], Any]) -> Callable[[], Any]:
    """A function that finds the caller's span in whatever thread it is called."""
    if _OPENTELEMETRY not in sys.modules:
        return function
    return functools.partial(contextvars.copy_context().run, function)
