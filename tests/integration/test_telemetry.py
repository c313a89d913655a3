# SPDX-License-Identifier: Apache-2.0
"""Spans of the server and of functions, as a collector sees them."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pytriton.client import (
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    ModelClient,
)
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.telemetry import set_telemetry_tracer, traced_span
from pytriton.proxy.types import Request
from pytriton.request import RequestBatch
from pytriton.telemetry import tracing
from pytriton.telemetry.functions import function_tracing
from pytriton.workers import WorkerProcesses
from tests.helpers.collector import Collector, collecting
from tests.helpers.observed_models import count_and_say
from tests.helpers.records import Records
from tests.helpers.server import LOCAL, Model, Server

FLOATS = [Tensor((-1,), np.float32)]
TRACE = f"{0xABCDEF:032x}"
CALLER = f"{0x1234:016x}"
HEADERS = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
DOCUMENT = {"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}

Serve = Callable[..., Server]


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_tracer", None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_telemetry_tracer(provider.get_tracer("test"))
    return exporter


def config_of(collector: Collector) -> dict[str, Any]:
    settings = [
        "level=TIMESTAMPS",
        "rate=1",
        "mode=opentelemetry",
        f"opentelemetry,url={collector.url}",
        "opentelemetry,resource=service.name=test",
        "opentelemetry,bsp_schedule_delay=50",
    ]
    return {"trace_config": settings}


def ask(server: Server, headers: Mapping[str, str] = HEADERS, expected: int = 200) -> Any:
    reply = server.infer("m", DOCUMENT, headers)
    assert reply.status == expected, reply.body
    return reply.json


def by_request(requests: list[Request]) -> list[dict[str, Any]]:
    responses = []
    for request in requests:
        with request.traced_span("work"), traced_span(request, "more", attributes={"rows": 1}):
            responses.append({"OUTPUT_1": request["INPUT_1"]})
    return responses


@batch
def by_batch(INPUT_1: Any) -> list[Any]:
    return [INPUT_1]


def failing(requests: list[Request]) -> list[dict[str, Any]]:
    raise ZeroDivisionError("division by zero")


def test_server_and_function_are_one_trace_of_the_caller(serve: Serve, collector: Collector) -> None:
    server = serve(Model("m", by_request, FLOATS, FLOATS), config=config_of(collector))
    ask(server)
    received = collector.wait_for("InferRequest")
    model = collector.wait_for("m")
    function = collector.wait_for("proxy_inference_callable")
    work = collector.wait_for("work")
    assert received.trace == model.trace == function.trace == work.trace == TRACE
    assert received.parent == CALLER
    assert model.parent == received.id
    assert function.parent == model.id
    assert work.parent == function.id
    assert function.status == 1
    assert function.attributes["model.name"] == "m"


def test_errors_are_marked_as_errors(serve: Serve, collector: Collector) -> None:
    server = serve(Model("m", failing, FLOATS, FLOATS), config=config_of(collector))
    ask(server, expected=500)
    assert collector.wait_for("proxy_inference_callable").status == 2


def test_parameters_are_the_clients_own(serve: Serve, collector: Collector) -> None:
    seen: list[Any] = []

    def keep(requests: list[Request]) -> list[dict[str, Any]]:
        seen.extend(request.parameters for request in requests)
        return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

    server = serve(Model("m", keep, FLOATS, FLOATS), config=config_of(collector))
    reply = server.infer("m", {**DOCUMENT, "parameters": {"a": 1}}, HEADERS)
    assert reply.status == 200
    assert seen == [{"a": 1}]


def test_requests_that_the_server_does_not_trace_have_no_span(serve: Serve, collector: Collector) -> None:
    spans: list[Any] = []

    def keep(requests: list[Request]) -> list[dict[str, Any]]:
        spans.extend(request.span for request in requests)
        return by_request(requests)

    config = config_of(collector)
    config["trace_config"][1] = "rate=2"
    server = serve(Model("m", keep, FLOATS, FLOATS), config=config)
    for _ in range(4):
        ask(server, {})
    assert [span is not None for span in spans].count(True) == 2


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


ASKING: dict[str, Callable[[Server, Any], Any]] = {}


def asking(name: str) -> Callable[[Callable[[Server, Any], Any]], Callable[[Server, Any], Any]]:
    def note(function: Callable[[Server, Any], Any]) -> Callable[[Server, Any], Any]:
        ASKING[name] = function
        return function

    return note


@asking("blocking")
def _blocking(server: Server, options: Any) -> Any:
    with ModelClient(server.url, "m") as client:
        client.infer_sample(np.ones(2, np.float32), **options)


@asking("blocking, gRPC")
def _blocking_grpc(server: Server, options: Any) -> Any:
    with ModelClient(f"grpc://{LOCAL}:{server.grpc_port}", "m") as client:
        client.infer_sample(np.ones(2, np.float32), **options)


@asking("futures")
def _futures(server: Server, options: Any) -> Any:
    with FuturesModelClient(server.url, "m", max_workers=1) as client:
        client.infer_sample(np.ones(2, np.float32), **options).result()


@asking("asyncio")
def _asyncio(server: Server, options: Any) -> Any:
    async def run() -> None:
        async with AsyncioModelClient(server.url, "m") as client:
            await client.infer_sample(np.ones(2, np.float32), **options)

    asyncio.run(run())


@asking("stream")
def _stream(server: Server, options: Any) -> Any:
    with DecoupledModelClient(f"grpc://{LOCAL}:{server.grpc_port}", "m") as client:
        list(client.infer_sample(np.ones(2, np.float32), **options))


@pytest.mark.parametrize("kind", ASKING)
def test_the_span_of_our_clients_is_the_functions_parent(
    serve: Serve, exporter: InMemorySpanExporter, kind: str
) -> None:
    threads: list[int] = []

    def function(requests: list[Request]) -> Any:
        threads.append(threading.get_ident())
        with requests[0].traced_span("work"):
            response = [{"OUTPUT_1": requests[0]["INPUT_1"]}]
        return iter_once(response) if kind == "stream" else response

    def iter_once(response: Any) -> Iterator[Any]:
        yield response

    server = serve(Model("m", function, FLOATS, FLOATS, ModelConfig(decoupled=kind == "stream")))
    tracer = tracing.get_telemetry_tracer()
    assert tracer is not None
    with tracer.start_as_current_span("caller"):
        ASKING[kind](server, {})
    ASKING[kind](server, {})
    with tracer.start_as_current_span("ignored"):
        ASKING[kind](server, {"headers": HEADERS})
    assert threading.get_ident() not in threads
    spans: dict[str, list[Any]] = {}
    for span in exporter.get_finished_spans():
        spans.setdefault(span.name, []).append(span)
    below, root, given = spans["proxy_inference_callable"]
    assert below.parent.span_id == spans["caller"][0].context.span_id
    assert below.context.trace_id == spans["caller"][0].context.trace_id
    assert spans["work"][0].parent.span_id == below.context.span_id
    assert root.parent is None
    assert f"{given.parent.span_id:016x}" == CALLER


def test_the_span_of_our_clients_is_the_servers_parent(serve: Serve, collector: Collector) -> None:
    server = serve(Model("m", by_request, FLOATS, FLOATS), config=config_of(collector))
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("caller") as span:
        ASKING["blocking"](server, {})
    received = collector.wait_for("InferRequest")
    function = collector.wait_for("proxy_inference_callable")
    context = span.get_span_context()
    assert received.parent == f"{context.span_id:016x}"
    assert function.trace == f"{context.trace_id:032x}"


def test_functions_of_worker_processes_are_in_the_trace_of_the_client(
    serve: Serve, collector: Collector
) -> None:
    x, pid = Tensor(name="x", dtype=np.float32, shape=(1,)), Tensor(name="pid", dtype=np.int64, shape=(1,))
    model = Model("m", count_and_say, [x], [pid], workers=WorkerProcesses(1))
    server = serve(model, config=config_of(collector))
    tracer = TracerProvider().get_tracer("test")
    with ModelClient(server.url, "m") as client:
        with tracer.start_as_current_span("caller") as span:
            client.infer_sample(x=np.ones(1, np.float32))
        function = collector.wait_for("proxy_inference_callable")
        assert function.trace == f"{span.get_span_context().trace_id:032x}"
        assert function.parent == collector.wait_for("m").id
        assert function.status == 1
