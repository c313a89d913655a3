# SPDX-License-Identifier: Apache-2.0
"""What the server tells of itself and of its models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers.clients import ask
from tests.helpers.server import Server, running
from tests.helpers.wire_models import HEADERS, data_of, document_of, wire_models


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = {"http_header_forward_pattern": HEADERS, "grpc_header_forward_pattern": HEADERS}
    with running(*wire_models(), config=config) as server:
        yield server


def test_health(server: Server) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/double/ready"):
        assert (server.get(path).status, server.get(path).body) == (200, b"")
    assert server.grpc_client.is_server_ready()
    assert server.grpc_client.is_model_ready("double")
    assert server.get("/v2/models/unknown/ready").status == 400


def test_server_metadata(server: Server) -> None:
    metadata = server.get("/v2").json
    assert metadata["name"] == "triton"
    assert {"binary_tensor_data", "system_shared_memory", "statistics"} <= set(metadata["extensions"])


def test_model_metadata(server: Server) -> None:
    assert server.get("/v2/models/generate").json == {
        "name": "generate",
        "versions": ["1"],
        "platform": "pytriton",
        "inputs": [
            {"name": "prompt", "datatype": "BYTES", "shape": [1]},
            {"name": "count", "datatype": "INT32", "shape": [1]},
        ],
        "outputs": [
            {"name": "text", "datatype": "BYTES", "shape": [1]},
            {"name": "sizes", "datatype": "INT32", "shape": [-1]},
        ],
    }
    (tensor,) = server.get("/v2/models/double").json["inputs"]
    assert tensor == {"name": "x", "datatype": "FP32", "shape": [-1, -1]}


def test_model_config(server: Server) -> None:
    config = server.get("/v2/models/described/config").json
    assert config["backend"] == "pytriton"
    assert config["max_batch_size"] == 4
    assert config["dynamic_batching"]["preferred_batch_size"] == [2, 4]
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 5
    assert [group["kind"] for group in config["instance_group"]] == ["KIND_CPU"]
    assert config["parameters"] == {}


def test_repository_index_has_our_models_and_no_other(server: Server) -> None:
    index = server.post("/v2/repository/index", {}).json
    assert {entry["name"] for entry in index} == {model.name for model in wire_models()}
    assert {entry["state"] for entry in index} == {"READY"}


def test_versions(server: Server) -> None:
    assert server.get("/v2/models/versioned").json["versions"] == ["1", "3"]
    document = document_of([1.0])
    for version, expected in (("", 1.0), ("/versions/1", 2.0), ("/versions/3", 1.0)):
        assert data_of(server.post(f"/v2/models/versioned{version}/infer", document)) == [expected]
    assert server.post("/v2/models/versioned/versions/2/infer", document).status == 404
    values = {"x": np.ones((1, 1), np.float32)}
    assert ask(server, "versioned", values, model_version="1").outputs["y"].item() == 2
