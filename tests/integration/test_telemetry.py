# SPDX-License-Identifier: Apache-2.0
"""Spans of the server and of functions, as a collector sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytriton.proxy.types import Request
from pytriton.telemetry import tracing
from tests.helpers.collector import Collector, collecting
from tests.helpers.server import Model
from tests.helpers.traced import CALLER, DOCUMENT, FLOATS, HEADERS, TRACE, Serve, ask, by_request, config_of


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_tracer", None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


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
