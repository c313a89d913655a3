# SPDX-License-Identifier: Apache-2.0
"""Spans of clients are the parents of those of servers and functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pytriton.client import (
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    ModelClient,
)
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.telemetry import set_telemetry_tracer
from pytriton.proxy.types import Request
from pytriton.telemetry import tracing
from pytriton.workers import WorkerProcesses
from tests.helpers.collector import Collector, collecting
from tests.helpers.observed_models import count_and_say
from tests.helpers.server import LOCAL, Model, Server
from tests.helpers.traced import CALLER, FLOATS, HEADERS, Serve, by_request, config_of


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
