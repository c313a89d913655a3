# SPDX-License-Identifier: Apache-2.0
"""Doors of the server besides plain HTTP and gRPC: TLS, SageMaker, settings of logs and traces."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc

from pytriton.check.utils import search_warning_on_too_verbose_log_level
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import TritonSecurityConfig
from tests.helpers.clients import inputs_for
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, free_ports
from tests.helpers.tls import make_certificates

FLOATS = [Tensor((-1,), np.float32)]
DOCUMENT = {"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
OPEN = TritonSecurityConfig(restricted_endpoints=[])

Serve = Callable[..., Server]


@batch
def echo(INPUT_1: Any) -> list[Any]:
    return [INPUT_1]


MODEL = Model("m", echo, FLOATS, FLOATS)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def ask_over_tls(server: Server, **options: Any) -> list[list[float]]:
    client = tritonclient.grpc.InferenceServerClient(f"{LOCAL}:{server.grpc_port}", ssl=True, **options)
    try:
        given = inputs_for("grpc", {"INPUT_1": np.array([[1, 2]], np.float32)})
        numbers: list[list[float]] = (
            client.infer("m", given, client_timeout=TIMEOUT_S).as_numpy("OUTPUT_1").tolist()
        )
        return numbers
    finally:
        client.close()


def test_grpc_over_tls(serve: Serve, certificates: Path) -> None:
    config = {
        "grpc_use_ssl": True,
        "grpc_server_cert": certificates / "server.crt",
        "grpc_server_key": certificates / "server.key",
    }
    server = serve(MODEL, config=config)
    assert ask_over_tls(server, root_certificates=str(certificates / "ca.crt")) == [[1, 2]]
    with pytest.raises(Exception, match="UNAVAILABLE"):
        ask_over_tls(server)


def test_grpc_over_tls_of_both(serve: Serve, certificates: Path) -> None:
    config = {
        "grpc_use_ssl_mutual": True,
        "grpc_server_cert": certificates / "server.crt",
        "grpc_server_key": certificates / "server.key",
        "grpc_root_cert": certificates / "ca.crt",
    }
    server = serve(MODEL, config=config)
    root = {"root_certificates": str(certificates / "ca.crt")}
    own = {
        "private_key": str(certificates / "client.key"),
        "certificate_chain": str(certificates / "client.crt"),
    }
    assert ask_over_tls(server, **root, **own) == [[1, 2]]
    with pytest.raises(Exception, match="UNAVAILABLE"):
        ask_over_tls(server, **root)


def test_keepalive_of_grpc_reaches_the_server(serve: Serve) -> None:
    config = {
        "grpc_keepalive_time": 20,
        "grpc_keepalive_timeout": 5000,
        "grpc_keepalive_permit_without_calls": True,
        "grpc_http2_max_pings_without_data": 0,
        "grpc_http2_min_recv_ping_interval_without_data": 1000,
        "grpc_http2_max_ping_strikes": 1,
        "grpc_infer_response_compression_level": "high",
    }
    server = serve(MODEL, config=config)
    # A client that pings more often than it may is sent away.
    options = [
        ("grpc.keepalive_time_ms", 10),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    given = inputs_for("grpc", {"INPUT_1": np.array([[1, 2]], np.float32)})
    with grpc.insecure_channel(f"{LOCAL}:{server.grpc_port}", options) as channel:
        grpc.channel_ready_future(channel).result(TIMEOUT_S)
    result = server.grpc_client.infer("m", given, client_timeout=TIMEOUT_S)
    assert result.as_numpy("OUTPUT_1").tolist() == [[1, 2]]


def test_sagemaker(serve: Serve) -> None:
    (port,) = free_ports(1)
    server = serve(MODEL, config={"allow_sagemaker": True, "sagemaker_port": port})
    assert server.request("GET", "/ping", port=port).status == 200
    assert server.infer("m", DOCUMENT).status == 200


def test_settings_of_logs_and_traces(serve: Serve) -> None:
    server = serve(MODEL, security_config=OPEN)
    assert server.get("/v2/logging").json["log_verbose_level"] == 0
    assert server.post("/v2/logging", {"log_verbose_level": 1}).json["log_verbose_level"] == 1
    assert server.post("/v2/logging", {"log_verbose_level": 0}).status == 200
    settings = server.get("/v2/trace/setting").json
    assert settings["trace_mode"] == "triton"
    assert server.get("/v2/models/m/trace/setting").json["trace_level"] == settings["trace_level"]


def test_verbose_logs_are_warned_about(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pytriton"):
        server = serve(MODEL, config={"log_verbose": 4})
        assert search_warning_on_too_verbose_log_level(caplog.text)
        caplog.clear()
        server.triton.stop()
        assert search_warning_on_too_verbose_log_level(caplog.text)
    caplog.clear()
    quiet = serve(MODEL)
    quiet.triton.stop()
    assert not search_warning_on_too_verbose_log_level(caplog.text)
