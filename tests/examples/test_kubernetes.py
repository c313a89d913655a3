# SPDX-License-Identifier: Apache-2.0
"""The manifest for Kubernetes fits the server that it runs."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

import pytest
import yaml

from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DEFAULT_METRICS_PORT
from pytriton.triton import TritonConfig
from tests.helpers.examples import EXAMPLES, serving
from tests.helpers.gate import wait_until

FOLDER: Final = EXAMPLES / "kubernetes"
PORTS: Final = {"http": DEFAULT_HTTP_PORT, "grpc": DEFAULT_GRPC_PORT, "metrics": DEFAULT_METRICS_PORT}


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "deployment.yaml").read_text(encoding="utf-8")))


def test_service_leads_to_the_server(documents: list[dict[str, Any]]) -> None:
    deployment, service = documents
    assert (deployment["kind"], service["kind"]) == ("Deployment", "Service")
    template = deployment["spec"]["template"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    (container,) = template["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == PORTS
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == PORTS


def test_probes_are_answered(documents: list[dict[str, Any]]) -> None:
    (container,) = documents[0]["spec"]["template"]["spec"]["containers"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    assert {probe["port"] for probe in probes} == {"http"}
    with serving("add_sub") as address:
        for path in [probe["path"] for probe in probes]:
            wait_until(functools.partial(_is_ok, address, path), path)


def test_there_is_time_to_drain(documents: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    pod = documents[0]["spec"]["template"]["spec"]
    for variable in pod["containers"][0]["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    exit_timeout = TritonConfig.from_env().exit_timeout_secs
    assert exit_timeout is not None
    assert pod["terminationGracePeriodSeconds"] > exit_timeout


def test_signals_reach_the_program() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r'^CMD \["python", "server.py"\]$', text, re.MULTILINE)


def _is_ok(address: Any, path: str) -> bool:
    try:
        return bool(address.get(path).status == 200)
    except OSError:  # it does not listen yet
        return False
