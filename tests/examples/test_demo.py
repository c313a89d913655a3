# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import demo


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        number: int = probe.getsockname()[1]
    return number


def test_takes_the_default_ports_when_they_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "is_free", lambda port: True)
    assert demo.choose_ports() == (8000, 8001, 8002)


def test_says_which_port_is_taken_and_chooses_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: int
) -> None:
    with socket.create_server(("", port)):
        monkeypatch.setattr(demo, "DEFAULT_PORTS", (port, 8001, 8002))
        chosen = demo.choose_ports()
    assert port not in chosen
    assert len(set(chosen)) == 3
    assert str(port) in capsys.readouterr().out


def test_reports_a_server_that_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("raise SystemExit(3)\n")
    result = subprocess.run(
        [sys.executable, str(Path(demo.__file__)), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "The demo failed: the example's server ended with exit code 3" in result.stderr
