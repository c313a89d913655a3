# SPDX-License-Identifier: Apache-2.0
"""Models whose requests are traced, and requests to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytriton.model_config import Tensor
from pytriton.proxy.telemetry import traced_span
from pytriton.proxy.types import Request
from tests.helpers.collector import Collector
from tests.helpers.server import Server

__all__ = ["CALLER", "DOCUMENT", "FLOATS", "HEADERS", "TRACE", "Serve", "ask", "by_request", "config_of"]

FLOATS = [Tensor((-1,), np.float32)]
TRACE = f"{0xABCDEF:032x}"
CALLER = f"{0x1234:016x}"
HEADERS = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
DOCUMENT = {"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}

Serve = Callable[..., Server]


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
