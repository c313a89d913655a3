# SPDX-License-Identifier: Apache-2.0
"""What commands that ask a server have in common, against a real one, as a user runs them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from pytriton.triton import TritonSecurityConfig
from tests.helpers.command import SERVICE, pytriton, serving_command
from tests.helpers.command_models import MODELS, urls
from tests.helpers.http_peer import Heard, answer, http_peer
from tests.helpers.server import LOCAL, free_ports, running


def test_a_url_where_nothing_answers_while_a_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))  # others may serve on this machine
    (tmp_path / "service.py").write_text(SERVICE)
    (port,) = free_ports(1)
    with serving_command(tmp_path, "service:app") as (command, address, _):
        for scheme in ("http", "grpc"):
            url = f"{scheme}://{LOCAL}:{port}"
            result = pytriton("infer", "Scale", "[1]", "--url", url, "--timeout", "5")
            assert result.returncode == 3
            (line,) = result.stderr.splitlines()
            assert line.startswith(f"pytriton: server {url}: ")
            assert line.endswith(f" `pytriton serve` of this machine answers at {address.url}.")
        result = pytriton("infer", "Scale", "[1]", "--url", address.url)
        assert (result.returncode, result.stderr) == (0, "")
        assert command.end() == 0


def test_a_server_that_does_not_answer_in_time() -> None:
    with socket.create_server((LOCAL, 0)) as silent:
        url = f"http://{LOCAL}:{silent.getsockname()[1]}"
        for command in (["models"], ["infer", "m", "[1]"], ["bench", "m"], ["top", "--once"]):
            result = pytriton(*command, "-u", url, "--timeout", "0.2")
            assert result.returncode == 3
            assert result.stderr.endswith(" timed out after 0.2 s. With --timeout it may take longer.\n")


def test_restricted_endpoints() -> None:
    security = TritonSecurityConfig("secret")
    with running(*MODELS[:1], security_config=security) as server:
        metrics = f"http://{LOCAL}:{server.metrics_port}/metrics"
        result = pytriton("models", "-u", server.url)
        assert result.returncode == 1
        assert "restricts this (model-repository)" in result.stderr
        assert "--token" in result.stderr
        for url in urls(server):
            assert "double" in pytriton("models", "-u", url, "--token", "secret").stdout
        # The metrics are not restricted, and tell nearly as much.
        server.infer("double", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]})
        result = pytriton("top", "-u", server.url, "--metrics-url", metrics, "--once", "-n", "0.3")
        assert result.returncode == 0, result.stderr
        assert "From the metrics alone: " in result.stdout
        assert "double" in result.stdout


def test_a_server_that_serve_runs_is_found_with_its_token(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    with serving_command(tmp_path, "service:app") as (command, _, said):
        result = pytriton("models", "--json")
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        assert document["url"] == said["endpoints"]["HTTP"]
        assert document["models"][0]["name"] == "Scale"
        assert document["notes"] == []
        assert "Scale" in pytriton("top", "--once", "-n", "0.1").stdout
        assert command.end() == 0


def test_a_server_without_extensions() -> None:
    replies: dict[str, Any] = {
        "/v2": {"name": "plain", "version": "1", "extensions": []},
        "/v2/models/m": {
            "name": "m",
            "versions": ["1"],
            "platform": "x",
            "inputs": [{"name": "a", "datatype": "FP32", "shape": [-1, 2]}],
            "outputs": [{"name": "b", "datatype": "FP32", "shape": [-1, 2]}],
        },
    }

    def script(heard: Heard, _: socket.socket) -> bytes:
        found = replies.get(heard.path)
        return answer({"error": "not found"}, "404 Not Found") if found is None else answer(found)

    with http_peer(script) as peer:
        result = pytriton("models", "-u", peer.url)
        assert (result.returncode, result.stdout) == (4, "")
        assert result.stderr == (
            f"pytriton: server {peer.url} cannot list its models: it lacks the extension model_repository "
            "of the v2 protocol.\n"
        )
        result = pytriton("models", "m", "-u", peer.url)
        assert result.returncode == 0
        assert "a: FP32[*, 2]" in result.stdout
        assert "batch" not in result.stdout  # nobody has told
        assert "lacks the extension statistics" in result.stderr
        result = pytriton("models", "x", "-u", peer.url)
        assert (result.returncode, result.stderr) == (1, f'pytriton: server {peer.url} has no model "x".\n')
        for command in (["infer", "x", "[1]"], ["bench", "x"]):
            result = pytriton(*command, "-u", peer.url, "--timeout", "0.3")
            assert result.returncode == 1
            assert "Waiting for model x/<latest> to be ready timed out." in result.stderr
            assert result.stderr.endswith(": not found. With --timeout it may take longer.\n")
        result = pytriton("top", "-u", peer.url, "--metrics-url", f"{peer.url}/none", "--once")
        assert result.returncode == 4
        assert "lacks the extension statistics of the v2 protocol. Nor are there metrics:" in result.stderr
