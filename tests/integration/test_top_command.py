# SPDX-License-Identifier: Apache-2.0
"""`pytriton top` against a real server, as a user runs it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.command import SERVICE, Command, pytriton
from tests.helpers.command_models import MODELS, urls
from tests.helpers.server import LOCAL, Server, free_ports, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*MODELS) as server:
        yield server


@pytest.mark.parametrize("protocol", [0, 1])
def test_top(server: Server, protocol: int) -> None:
    metrics = f"http://{LOCAL}:{server.metrics_port}/metrics"
    where = ["-u", urls(server)[protocol], "--metrics-url", metrics]
    result = pytriton("top", *where, "--json", "--count", "2", "-n", "0.2")
    assert result.returncode == 0, result.stderr
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(looks) == 2
    models = {model["model"]: model for model in looks[0]["models"]}
    assert sorted(models) == ["double", "fail", "spell"]
    assert models["double"]["workers"] == 1
    assert models["double"]["pending"] == 0
    assert looks[0]["memory_total_bytes"] > 0
    assert looks[0]["notes"] == []
    shown = pytriton("top", *where, "--once", "-n", "0.1", COLUMNS="140").stdout
    assert "requests/s 0" in shown
    assert "double" in shown
    assert "0/1" in shown


def test_top_without_metrics_says_so(server: Server) -> None:
    (nowhere,) = free_ports(1)
    result = pytriton(
        "top", "-u", server.url, "--metrics-url", f"http://{LOCAL}:{nowhere}", "--once", "-n", "0.1"
    )
    assert result.returncode == 0, result.stderr
    assert "No memory, workers and queue lengths: " in result.stdout


def test_the_metrics_are_at_a_url() -> None:
    result = pytriton("top", "--metrics-url", "nonsense")
    assert (result.returncode, result.stderr) == (
        2,
        "pytriton: --metrics-url: expected http:// or https://, got 'nonsense'.\n",
    )


def test_top_goes_on_with_a_server_that_is_served_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))  # others may serve on this machine
    (tmp_path / "service.py").write_text(SERVICE)
    ports = zip(("http", "grpc", "metrics"), free_ports(3), strict=True)
    options = ["serve", "service:app", "--json", *(f"--{name}-port={port}" for name, port in ports)]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(Command(options, tmp_path)))
        url = json.loads(first.expect('"endpoints"'))["endpoints"]["HTTP"]
        # Without metrics nothing but statistics tells of models, and those want the token.
        nowhere = f"http://{LOCAL}:{free_ports(1)[0]}"
        watching = ["top", "--json", "-n", "0.1", "-u", url, "--metrics-url", nowhere]
        top = stack.enter_context(contextlib.closing(Command(watching, tmp_path)))
        top.expect('"model": "Scale"')
        assert first.end() == 0
        top.expect(f"server {url}: ")
        second = stack.enter_context(contextlib.closing(Command(options, tmp_path)))
        assert url in second.expect('"endpoints"')
        top.expect('"model": "Scale"')
        assert top.end() == 0
        assert top.rest().count("failed") == 0
        assert second.end() == 0
