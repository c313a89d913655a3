# SPDX-License-Identifier: Apache-2.0
"""What the server counts of its models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers.clients import ask_later, pick
from tests.helpers.gate import plugged, wait_for_queue
from tests.helpers.server import Server, running
from tests.helpers.wire_models import HEADERS, document_of, gate, wire_models


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = {"http_header_forward_pattern": HEADERS, "grpc_header_forward_pattern": HEADERS}
    with running(*wire_models(), config=config) as server:
        yield server


def test_statistics_and_metrics_count(server: Server) -> None:
    with plugged(server, "counted", gate, {"x": np.zeros((1, 1), np.float32)}):
        futures = [ask_later(server, "counted", {"x": np.zeros((2, 1), np.float32)}) for _ in range(3)]
        wait_for_queue(server, "counted", 3)
    pick(futures, "y")
    statistics = server.statistics("counted")
    assert (statistics["inference_count"], statistics["execution_count"]) == (7, 2)
    assert [entry["batch_size"] for entry in statistics["batch_stats"]] == [1, 6]
    times = statistics["inference_stats"]
    assert {name: times[name]["count"] for name in ("success", "fail", "queue", "compute_infer")} == {
        "success": 4,
        "fail": 0,
        "queue": 4,
        "compute_infer": 4,
    }
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert all(times[part]["ns"] > 0 for part in parts)
    assert sum(times[part]["ns"] for part in parts) <= times["success"]["ns"]
    metrics = server.metrics("counted")
    counted = [metrics[f"nv_inference_{name}"] for name in ("request_success", "count", "exec_count")]
    assert counted == [4, 7, 2]


def test_failures_are_counted(server: Server) -> None:
    before = server.statistics("fail")["inference_stats"]["fail"]["count"]
    assert server.infer("fail", document_of([1.0])).status == 500
    assert server.statistics("fail")["inference_stats"]["fail"]["count"] == before + 1
    assert server.metrics("fail")["nv_inference_request_failure"] == before + 1
    assert server.statistics("fail")["execution_count"] == 0
