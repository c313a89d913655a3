# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/ that are written as for 0.7.0, and what they print."""

from __future__ import annotations

import pytest

from pytriton.client import ModelClient
from tests.helpers.examples import run_pair, run_script, running, serving
from tests.helpers.server import free_ports

SCHEMES = pytest.mark.parametrize("scheme", ["http", "grpc"])


@SCHEMES
def test_classifier(scheme: str) -> None:
    assert run_pair("classifier", scheme=scheme) == ["setosa: 1.00", "virginica: 0.97"]


@SCHEMES
def test_embedder(scheme: str) -> None:
    assert run_pair("embedder", scheme=scheme) == ["cat and cats: 0.9", "cat and dog: 0.1"]


def test_token_streamer() -> None:
    assert len(run_pair("token_streamer", scheme="grpc")) == 5


@SCHEMES
def test_add_sub(scheme: str) -> None:
    assert run_pair("add_sub", scheme=scheme) == ["add: [[2.0], [2.0]]", "sub: [[0.0], [0.0]]"]


@SCHEMES
def test_optional_inputs(scheme: str) -> None:
    assert run_pair("optional_inputs", scheme=scheme) == [
        "neither: [[1.0, 2.0], [3.0, 4.0]]",
        "scale: [[10.0, 20.0], [30.0, 40.0]]",
        "shift: [[2.0, 3.0], [5.0, 6.0]]",
        "both: [[11.0, 21.0], [32.0, 42.0]]",
    ]


@SCHEMES
def test_parameters_and_headers(scheme: str) -> None:
    assert run_pair("parameters_and_headers", scheme=scheme) == ["scaled: [[3.0, 6.0]] metres"]


@SCHEMES
def test_several_models(scheme: str) -> None:
    assert run_pair("several_models", scheme=scheme) == ["Sum: 11.0", "Max: 7.0", "Spread: 6.0"]


@SCHEMES
def test_identity_bytes(scheme: str) -> None:
    assert run_pair("identity_bytes", scheme=scheme) == ["all the same"]


@SCHEMES
def test_multi_instance(scheme: str) -> None:
    assert run_pair("multi_instance", scheme=scheme) == ["squares: [9, 16]", "devices: [0, 1]"]


@SCHEMES
def test_worker_processes(scheme: str) -> None:
    assert run_pair("worker_processes", scheme=scheme) == ["powers: [8, 27, 64]"]


def test_streaming() -> None:
    assert run_pair("streaming", scheme="grpc") == ["one", "after", "the", "other"]


def test_remote() -> None:
    with serving("remote") as address:
        ports = address.http_port, address.grpc_port, address.metrics_port
        url = f"--url=http://127.0.0.1:{address.http_port}"
        with ModelClient(f"http://127.0.0.1:{address.http_port}", "Double") as client:
            client.wait_for_model(20)
        with running("remote", "remote.py", url, ports=ports):
            assert run_script("remote", "client.py", url) == ["Double: 4.0", "Triple: 6.0"]


def test_online_learning() -> None:
    assert run_pair("online_learning") == ["at first: 0.0", "in the end: 7.0"]


def test_background() -> None:
    assert run_script("background", "notebook.py", ports=free_ports(3)) == [
        "Double: 6.0",
        "Double: 6.0",
        "Negate: -3.0",
    ]
