# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from pytriton.proxy import telemetry
from pytriton.proxy.types import Request
from pytriton.telemetry import tracing
from tests.helpers.collector import collecting

CONFIG = [
    "level=TIMESTAMPS",
    "rate=1",
    "mode=opentelemetry",
    "opentelemetry,url=http://localhost:4318/v1/traces",
    "opentelemetry,resource=service.name=shop",
    "opentelemetry,resource=a=b=c,d=e",
]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test")


@pytest.fixture
def tracer_is_set(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> Tracer:
    monkeypatch.setattr(tracing, "_tracer", None)
    telemetry.set_telemetry_tracer(tracer)
    return tracer


def test_a_tracer_is_set_once(tracer_is_set: Tracer) -> None:
    assert telemetry.get_telemetry_tracer() is tracer_is_set
    with pytest.raises(ValueError, match="already set"):
        telemetry.set_telemetry_tracer(tracer_is_set)


def test_traced_span_of_an_untraced_request_does_nothing() -> None:
    request = Request({})
    with request.traced_span("work"), telemetry.traced_span(request, "work"):
        pass


def test_traced_span_is_a_child_of_the_request_and_current(
    tracer_is_set: Tracer, exporter: InMemorySpanExporter
) -> None:
    parent = tracer_is_set.start_span("request")
    with Request({}, span=parent).traced_span("work"), tracer_is_set.start_as_current_span("inner"):
        pass
    parent.end()
    inner, work, request = exporter.get_finished_spans()
    assert (inner.name, work.name, request.name) == ("inner", "work", "request")
    assert inner.parent is not None
    assert work.context is not None
    assert inner.parent.span_id == work.context.span_id
    assert work.parent is not None
    assert work.parent.span_id == parent.get_span_context().span_id


def test_traced_span_passes_arguments_on_and_marks_errors(
    tracer_is_set: Tracer, exporter: InMemorySpanExporter
) -> None:
    request = Request({}, span=tracer_is_set.start_span("request"))
    with pytest.raises(RuntimeError), telemetry.traced_span(request, "work", attributes={"rows": 3}):
        raise RuntimeError("broken")
    (work,) = exporter.get_finished_spans()
    assert work.attributes == {"rows": 3}
    assert work.status.status_code is StatusCode.ERROR


def test_a_span_goes_to_another_process_and_back(
    tracer_is_set: Tracer, exporter: InMemorySpanExporter
) -> None:
    parent = tracer_is_set.start_span("parent")
    headers = telemetry.get_span_dict(parent)
    assert headers["traceparent"].startswith("00-")
    telemetry.end_span(telemetry.start_span_from_remote(headers, "child"))
    (child,) = exporter.get_finished_spans()
    assert child.parent is not None
    assert child.parent.span_id == parent.get_span_context().span_id
    assert child.status.status_code is StatusCode.OK


def test_without_a_parent_or_a_tracer_there_is_no_remote_span(tracer_is_set: Tracer) -> None:
    assert telemetry.start_span_from_remote({}, "child") is None
    telemetry.end_span(None)


def test_a_span_below_a_span_ends_with_its_error(
    tracer_is_set: Tracer, exporter: InMemorySpanExporter
) -> None:
    child = telemetry.start_span_from_span(tracer_is_set.start_span("parent"), "child")
    telemetry.end_span(child, ZeroDivisionError("division by zero"))
    (finished,) = exporter.get_finished_spans()
    assert finished.status.status_code is StatusCode.ERROR
    assert finished.status.description == "division by zero"
    assert [event.name for event in finished.events] == ["exception"]


def test_parses_the_trace_config_of_the_server() -> None:
    url, resource = telemetry.parse_trace_config(CONFIG)
    assert url == "http://localhost:4318/v1/traces"
    assert resource.attributes["service.name"] == "shop"
    assert resource.attributes["a"] == "b=c"
    assert resource.attributes["d"] == "e"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (["mode=triton"], "Only opentelemetry mode is supported"),
        (["mode=opentelemetry"], "opentelemetry,url is required"),
        ([*CONFIG, "opentelemetry,resource=nothing"], "a resource attribute is <key>=<value>, got 'nothing'"),
    ],
)
def test_refuses_a_trace_config(config: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        telemetry.parse_trace_config(config)


def test_builds_a_tracer_from_the_trace_config() -> None:
    tracer = telemetry.build_proxy_tracer_from_triton_config(CONFIG)
    assert tracer.start_span("never ended").is_recording()


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "pytriton\[telemetry\]"'):
        telemetry.raise_if_no_telemetry()


class BackendRequest:
    """A request as Triton's Python backend has it."""

    def __init__(self, context: str | None) -> None:
        self._context = context

    def trace(self) -> BackendRequest:
        return self

    def get_context(self) -> str | None:
        return self._context


def test_models_of_the_python_backend_trace_their_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    model = telemetry.TracableModel()
    assert model.start_requests_spans([BackendRequest(None)]) is None
    model.end_requests_spans(None, [])
    with pytest.raises(ValueError, match="Failed to configure tracing"):
        model.configure_tracing("not base64")
    traceparent = f"00-{7:032x}-{9:016x}-01"
    with collecting() as collector:
        settings = [*CONFIG[:3], f"opentelemetry,url={collector.url}"]
        model.configure_tracing(base64.b64encode(json.dumps(settings).encode()).decode())
        monkeypatch.setattr(tracing, "_tracer", model._open_telemetry_tracer)
        spans = model.start_requests_spans(
            [BackendRequest(json.dumps({"traceparent": traceparent})), BackendRequest(None)]
        )
        assert spans is not None
        assert [span.get_span_context().trace_id == 7 for span in spans] == [True, False]
        model.end_requests_spans(spans, RuntimeError("broken"))
    assert [span.status for span in collector.spans] == [2, 2]
