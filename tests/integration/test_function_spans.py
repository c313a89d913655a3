# SPDX-License-Identifier: Apache-2.0
"""Spans of functions of every kind, with a tracer of one's own."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig
from pytriton.proxy.telemetry import set_telemetry_tracer
from pytriton.proxy.types import Request
from pytriton.request import RequestBatch
from pytriton.telemetry import tracing
from pytriton.telemetry.functions import function_tracing
from tests.helpers.records import Records
from tests.helpers.server import Model
from tests.helpers.traced import CALLER, FLOATS, HEADERS, Serve, ask, by_request


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_tracer", None)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_telemetry_tracer(provider.get_tracer("test"))
    return exporter


@batch
def by_batch(INPUT_1: Any) -> list[Any]:
    return [INPUT_1]


def test_a_tracer_of_ones_own_follows_forwarded_headers(serve: Serve, exporter: InMemorySpanExporter) -> None:
    config = {"http_header_forward_pattern": "traceparent"}
    server = serve(Model("m", by_batch, FLOATS, FLOATS), config=config)
    ask(server, {"Traceparent": HEADERS["traceparent"]})
    ask(server, {})
    inner, function, _, root = exporter.get_finished_spans()
    assert (inner.name, function.name) == ("pytriton-batch-decorator-span", "proxy_inference_callable")
    assert function.parent is not None
    assert f"{function.parent.span_id:016x}" == CALLER
    assert inner.parent is not None
    assert function.context is not None
    assert inner.parent.span_id == function.context.span_id
    assert root.parent is None


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_functions_of_every_kind_are_traced(serve: Serve, exporter: InMemorySpanExporter, kind: str) -> None:
    current: list[bool] = []

    def note() -> None:
        current.append(trace.get_current_span().get_span_context().is_valid)

    def function(requests: list[Request]) -> list[dict[str, Any]]:
        note()
        return by_request(requests)

    async def coroutine(requests: list[Request]) -> list[dict[str, Any]]:
        return function(requests)

    def generator(requests: list[Request]) -> Iterator[list[dict[str, Any]]]:
        yield function(requests)

    async def async_generator(requests: list[Request]) -> Any:
        yield function(requests)

    functions = {
        "function": function,
        "coroutine": coroutine,
        "generator": generator,
        "async generator": async_generator,
    }
    server = serve(Model("m", functions[kind], FLOATS, FLOATS))
    ask(server)
    assert sorted(span.name for span in exporter.get_finished_spans()) == [
        "more",
        "proxy_inference_callable",
        "work",
    ]
    assert current == ["generator" not in kind]


def test_requests_of_a_batch_have_a_span_each(serve: Serve, exporter: InMemorySpanExporter) -> None:
    server = serve(Model("m", by_batch, FLOATS, FLOATS, ModelConfig(max_batch_size=4)))
    ask(server)
    assert len(exporter.get_finished_spans()) == 2


def test_without_tracing_nothing_is_wrapped(serve: Serve) -> None:
    server = serve(Model("m", by_request, FLOATS, FLOATS))
    assert ask(server)["outputs"][0]["data"] == [1, 2]


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_streams_have_a_span_until_they_end(serve: Serve, exporter: InMemorySpanExporter, kind: str) -> None:
    def generator(requests: list[Request]) -> Iterator[list[dict[str, Any]]]:
        for number in range(3):
            assert exporter.get_finished_spans() == ()
            yield [{"OUTPUT_1": request["INPUT_1"] + number} for request in requests]
        if requests[0]["INPUT_1"][0, 0] < 0:
            raise ValueError("below zero")

    async def async_generator(requests: list[Request]) -> Any:
        for step in generator(requests):
            yield step

    function = generator if kind == "generator" else async_generator
    server = serve(Model("m", function, FLOATS, FLOATS, ModelConfig(decoupled=True)))
    for number, status in ((1, 1), (-1, 2)):
        reply = server.post("/v2/models/m/generate_stream", {"INPUT_1": [number]})
        assert reply.body.count(b"OUTPUT_1") == 3
        (span,) = exporter.get_finished_spans()
        assert span.status.status_code.value == status
        exporter.clear()


def test_coroutines_side_by_side_have_spans_of_their_own(
    serve: Serve, exporter: InMemorySpanExporter
) -> None:
    both = asyncio.Event()
    seen: list[tuple[bool, bool]] = []

    async def meet(requests: list[Request]) -> list[dict[str, Any]]:
        span = requests[0].span
        before = trace.get_current_span() is span
        seen.append((before, False))
        if len(seen) == 2:
            both.set()
        await both.wait()
        seen.append((before, trace.get_current_span() is span))
        return [{"OUTPUT_1": requests[0]["INPUT_1"]}]

    server = serve(
        Model("m", meet, FLOATS, FLOATS, ModelConfig(max_batch_size=1, batches_in_flight=2)),
        config={"http_header_forward_pattern": "traceparent"},
    )
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: ask(server, _headers(number)), (1, 2)))
    assert seen[2:] == [(True, True), (True, True)]
    contexts = [span.context for span in exporter.get_finished_spans()]
    assert sorted(context.trace_id for context in contexts if context is not None) == [1, 2]


def _headers(number: int) -> dict[str, str]:
    return {"traceparent": f"00-{number:032x}-{CALLER}-01"}


@pytest.mark.parametrize("kind", ["coroutine", "generator", "async generator"])
@pytest.mark.parametrize("fails", [False, True])
def test_spans_last_as_long_as_the_work_of_functions_that_do_not_look_like_what_they_are(
    serve: Serve, exporter: InMemorySpanExporter, kind: str, fails: bool
) -> None:
    def work(requests: list[Request]) -> list[dict[str, Any]]:
        if fails:
            with requests[0].traced_span("work"):
                raise ZeroDivisionError("division by zero")
        return by_request(requests)

    async def coroutine(requests: list[Request]) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        return work(requests)

    def generator(requests: list[Request]) -> Iterator[list[dict[str, Any]]]:
        yield work(requests)

    async def async_generator(requests: list[Request]) -> Any:
        yield work(requests)

    functions = {"coroutine": coroutine, "generator": generator, "async generator": async_generator}
    server = serve(Model("m", lambda requests: functions[kind](requests), FLOATS, FLOATS))
    ask(server, expected=500 if fails else 200)
    *inner, function = exporter.get_finished_spans()
    assert [span.name for span in inner] == (["work"] if fails else ["more", "work"])
    assert function.name == "proxy_inference_callable"
    assert function.status.status_code is (trace.StatusCode.ERROR if fails else trace.StatusCode.OK)
    assert [event.name for event in function.events] == (["exception"] if fails else [])


@pytest.mark.parametrize("kind", ["coroutine", "generator", "async generator"])
def test_the_span_of_a_decorator_lasts_as_long_too(
    serve: Serve, exporter: InMemorySpanExporter, kind: str
) -> None:
    tracer = tracing.get_telemetry_tracer()
    assert tracer is not None

    def work(INPUT_1: Any) -> list[Any]:
        with tracer.start_as_current_span("work"):
            return [INPUT_1]

    async def coroutine(INPUT_1: Any) -> list[Any]:
        await asyncio.sleep(0)
        return work(INPUT_1)

    def generator(INPUT_1: Any) -> Iterator[list[Any]]:
        yield work(INPUT_1)

    async def async_generator(INPUT_1: Any) -> Any:
        yield work(INPUT_1)

    functions: dict[str, Any] = {
        "coroutine": coroutine,
        "generator": generator,
        "async generator": async_generator,
    }
    server = serve(Model("m", batch(lambda INPUT_1: functions[kind](INPUT_1)), FLOATS, FLOATS))
    ask(server)
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["work", "pytriton-batch-decorator-span", "proxy_inference_callable"]


@pytest.mark.parametrize("kind", ["coroutine", "generator", "async generator"])
def test_spans_end_when_the_work_never_begins(kind: str, exporter: InMemorySpanExporter) -> None:
    async def coroutine(_: Any) -> Any:
        raise AssertionError

    def generator(_: Any) -> Iterator[Any]:
        yield

    async def async_generator(_: Any) -> Any:
        yield

    functions: dict[str, Any] = {
        "coroutine": coroutine,
        "generator": generator,
        "async generator": async_generator,
    }
    tracing = function_tracing(None)
    assert tracing is not None
    batch = RequestBatch({}, Records(1), total_rows=1, batching=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine was never awaited
        del_me = tracing.trace(lambda requests: functions[kind](requests))(batch)
        assert exporter.get_finished_spans() == ()
        del del_me
        gc.collect()
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.OK
