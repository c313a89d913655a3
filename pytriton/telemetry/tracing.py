# SPDX-License-Identifier: Apache-2.0
"""The tracer of this process, and spans that start from other processes' spans."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Span, Tracer

__all__ = [
    "TRACE_HEADERS",
    "build_proxy_tracer_from_triton_config",
    "end_span",
    "ending",
    "get_span_dict",
    "get_telemetry_tracer",
    "is_opentelemetry",
    "parse_trace_config",
    "raise_if_no_telemetry",
    "set_telemetry_tracer",
    "spans_below",
    "start_span_from_remote",
    "start_span_from_span",
    "traced_span",
]

TRACE_HEADERS: Final = "traceparent|tracestate"
"""Pattern of the headers of W3C trace context."""

_MODE: Final = "mode=opentelemetry"
_URL: Final = "opentelemetry,url="
_RESOURCE: Final = "opentelemetry,resource="
_INSTALL: Final = 'pip install "pytriton[telemetry]"'

_lock = threading.Lock()
_tracer: Tracer | None = None


class _Traced(Protocol):
    span: Any | None


def set_telemetry_tracer(tracer: Tracer) -> None:
    """Trace the functions that are bound from now on; a process has one tracer, set once.

    Args:
        tracer: A tracer of OpenTelemetry.
    """
    global _tracer
    with _lock:
        if _tracer is not None:
            raise ValueError("Telemetry tracer is already set: call set_telemetry_tracer once, before bind.")
        _tracer = tracer


def get_telemetry_tracer() -> Tracer | None:
    """The tracer that is set."""
    return _tracer


def raise_if_no_telemetry() -> None:
    """Say what to install where OpenTelemetry is missing."""
    for module in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ImportError(f"OpenTelemetry is not installed ({module} is missing): {_INSTALL}")


def is_opentelemetry(trace_config: Sequence[str] | None) -> bool:
    """Whether the server traces with OpenTelemetry."""
    return any(setting.strip() == _MODE for setting in trace_config or ())


def parse_trace_config(trace_config_list: Sequence[str]) -> tuple[str, Resource]:
    """Where spans go and which attributes their resource has, from TritonConfig.trace_config."""
    raise_if_no_telemetry()
    from opentelemetry.sdk.resources import Resource

    if not is_opentelemetry(trace_config_list):
        raise ValueError(
            f'trace_config: Only opentelemetry mode is supported; add "{_MODE}" to {list(trace_config_list)}.'
        )
    urls = [setting.removeprefix(_URL) for setting in trace_config_list if setting.startswith(_URL)]
    if not urls:
        raise ValueError(
            f'trace_config: opentelemetry,url is required; add "{_URL}http://localhost:4318/v1/traces".'
        )
    attributes: dict[str, str] = {}
    for setting in trace_config_list:
        if setting.startswith(_RESOURCE):
            attributes.update(_attributes(setting.removeprefix(_RESOURCE)))
    return urls[0], Resource.create(attributes)


def build_proxy_tracer_from_triton_config(trace_config: Sequence[str]) -> Tracer:
    """A tracer that sends spans where the server sends its own."""
    url, resource = parse_trace_config(trace_config)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return provider.get_tracer("pytriton")


def start_span_from_remote(span_dict: Mapping[str, str] | None, name: str) -> Span | None:
    """Start a span below one of another process; None without a tracer or without that span.

    Args:
        span_dict: Headers of W3C trace context: traceparent, and tracestate if there is one.
        name: Name of the new span, which the caller ends.
    """
    tracer = get_telemetry_tracer()
    if tracer is None or not span_dict:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return tracer.start_span(name, context=TraceContextTextMapPropagator().extract(span_dict))


def start_span_from_span(span: Span, name: str) -> Span | None:
    """Start a span below another one; None without a tracer.

    Args:
        span: The parent.
        name: Name of the new span, which the caller ends.
    """
    tracer = get_telemetry_tracer()
    if tracer is None:
        return None
    from opentelemetry.trace import set_span_in_context

    return tracer.start_span(name, context=set_span_in_context(span))


def get_span_dict(span: Span) -> dict[str, str]:
    """A span as headers of W3C trace context, for another process."""
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers, set_span_in_context(span))
    return headers


def end_span(span: Span | None, error: BaseException | str | None = None) -> None:
    """End a span, as failed if there is an error."""
    if span is None:
        return
    from opentelemetry.trace import Status, StatusCode

    if error is None:
        span.set_status(Status(StatusCode.OK))
    else:
        if isinstance(error, BaseException):
            span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, str(error) or type(error).__name__))
    span.end()


@contextlib.contextmanager
def spans_below(parents: Sequence[Span], name: str) -> Iterator[None]:
    """Spans below others that end with the block, as failed if it fails."""
    spans = [start_span_from_span(parent, name) for parent in parents]
    with ending(spans):
        yield


@contextlib.contextmanager
def ending(spans: Sequence[Span | None]) -> Iterator[None]:
    """End spans with the block, as failed if it fails; a generator that is closed early does not fail."""
    error: BaseException | None = None
    try:
        yield
    except GeneratorExit:
        raise
    except BaseException as caught:
        error = caught
        raise
    finally:
        for span in spans:
            end_span(span, error)
        del error  # it refers to this frame


@contextlib.contextmanager
def traced_span(request: _Traced, span_name: str, **kwargs: Any) -> Iterator[None]:
    """Trace a part of the work on a request; does nothing where nothing is traced.

    Args:
        request: Request that the function was given.
        span_name: Name of the new span.
        kwargs: Further arguments of OpenTelemetry's start_as_current_span.
    """
    span, tracer = request.span, get_telemetry_tracer()
    if span is None or tracer is None:
        yield
        return
    from opentelemetry.trace import use_span

    with (
        use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False),
        tracer.start_as_current_span(span_name, **kwargs),
    ):
        yield


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    for pair in text.split(","):
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise ValueError(f"trace_config: a resource attribute is <key>=<value>, got {pair!r}.")
        yield key, value
