# SPDX-License-Identifier: Apache-2.0
"""Spans of inference functions: one for every request, below the span of the server or of the client."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from pytriton.batching.context import current_model
from pytriton.batching.lasting import lasting
from pytriton.batching.whole import mark_whole, requests_for, takes_whole_batch
from pytriton.batching.wrapping import kind_of, like
from pytriton.request import RequestBatch
from pytriton.telemetry.tracing import (
    build_proxy_tracer_from_triton_config,
    ending,
    get_telemetry_tracer,
    is_opentelemetry,
    raise_if_no_telemetry,
    set_telemetry_tracer,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["FunctionTracing", "function_tracing"]

LOGGER = logging.getLogger(__name__)

_SPAN: Final = "proxy_inference_callable"
_HEADERS: Final = ("traceparent", "tracestate")


def function_tracing(trace_config: Sequence[str] | None) -> FunctionTracing | None:
    """How functions are traced: by the tracer of this process, or else where the server sends its spans.

    Args:
        trace_config: Settings of the server.
    """
    by_server = is_opentelemetry(trace_config)
    if by_server and get_telemetry_tracer() is None:
        try:
            raise_if_no_telemetry()
        except ImportError as error:
            LOGGER.warning("The server traces requests, but functions are not traced: %s", error)
            return None
        set_telemetry_tracer(build_proxy_tracer_from_triton_config(list(trace_config or ())))
    tracer = get_telemetry_tracer()
    return None if tracer is None else FunctionTracing(tracer, roots=not by_server)


class FunctionTracing:
    """Puts spans around functions."""

    def __init__(self, tracer: Tracer, *, roots: bool) -> None:
        self._tracer = tracer
        self._roots = roots  # else the server decides which requests are traced

    def trace(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the same kind that starts a span for every request, and ends it with the outcome."""
        kind = kind_of(function)
        whole = takes_whole_batch(function)
        if kind is inspect.isasyncgenfunction:
            wrapper = self._trace_async_generator(function, whole)
        elif kind is inspect.iscoroutinefunction:
            wrapper = self._trace_coroutine(function, whole)
        elif kind is inspect.isgeneratorfunction:
            wrapper = self._trace_generator(function, whole)
        else:
            wrapper = self._trace_function(function, whole)
        like(function, wrapper)
        mark_whole(wrapper)
        return wrapper

    def _trace_function(self, function: Callable[..., Any], whole: bool) -> Callable[..., Any]:
        def wrapper(requests: RequestBatch) -> Any:
            spans = self._start_all(requests)

            def call() -> Any:
                with _as_current(spans):
                    result = function(requests_for(whole, requests))
                return _awaited(result, spans) if isinstance(result, Awaitable) else result

            return lasting(ending(spans), call)

        return wrapper

    def _trace_coroutine(self, function: Callable[..., Any], whole: bool) -> Callable[..., Any]:
        async def wrapper(requests: RequestBatch) -> Any:
            with self._spans(requests, current=True):
                return await function(requests_for(whole, requests))

        return wrapper

    def _trace_generator(self, function: Callable[..., Any], whole: bool) -> Callable[..., Any]:
        def wrapper(requests: RequestBatch) -> Iterator[Any]:
            with self._spans(requests):
                yield from function(requests_for(whole, requests))

        return wrapper

    def _trace_async_generator(self, function: Callable[..., Any], whole: bool) -> Callable[..., Any]:
        async def wrapper(requests: RequestBatch) -> AsyncIterator[Any]:
            with self._spans(requests):
                async with aclosing(function(requests_for(whole, requests))) as steps:
                    async for step in steps:
                        yield step

        return wrapper

    @contextlib.contextmanager
    def _spans(self, requests: RequestBatch, *, current: bool = False) -> Iterator[None]:
        spans = self._start_all(requests)
        # A generator would leave its span behind as the current one of whoever asks for its next step.
        with ending(spans), _as_current(spans if current else ()):
            yield

    def _start_all(self, requests: RequestBatch) -> list[Any | None]:
        spans = [self._start(requests, index) for index in range(len(requests))]
        requests.spans = spans
        return spans

    def _start(self, requests: RequestBatch, index: int) -> Any | None:
        carrier = _carrier(requests, index)
        if not carrier and not self._roots:
            return None
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        model = current_model.get()
        attributes: dict[str, str | int] = (
            {} if model is None else {"model.name": model.model_name, "model.version": model.model_version}
        )
        context = TraceContextTextMapPropagator().extract(carrier)
        return self._tracer.start_span(_SPAN, context=context, attributes=attributes)


def _carrier(requests: RequestBatch, index: int) -> dict[str, str]:
    """W3C headers of the span of the server, or of the client where its headers are forwarded."""
    if text := requests.trace_context(index):
        try:
            headers = json.loads(text)
        except ValueError:
            headers = {}
        if isinstance(headers, dict) and headers.get("traceparent"):
            return {name: str(value) for name, value in headers.items()}
    parameters = {name.lower(): value for name, value in requests.parameters(index).items()}
    return {name: str(parameters[name]) for name in _HEADERS if name in parameters}


async def _awaited(result: Awaitable[Any], spans: Sequence[Any | None]) -> Any:
    with _as_current(spans):
        return await result


@contextlib.contextmanager
def _as_current(spans: Sequence[Any | None]) -> Iterator[None]:
    # Of several spans none is more the current one than the others.
    if len(spans) != 1 or spans[0] is None:
        yield
        return
    from opentelemetry.trace import use_span

    with use_span(spans[0], end_on_exit=False, record_exception=False, set_status_on_exception=False):
        yield
