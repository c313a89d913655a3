# SPDX-License-Identifier: Apache-2.0
"""`pytriton check` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest


def run(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytriton", *arguments],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        # As a shell starts its jobs in the background; it must make no difference.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )


def findings(report: dict[str, Any]) -> dict[str, str]:
    return {finding["name"]: finding["status"] for finding in report["findings"]}


def test_says_that_this_machine_can_serve() -> None:
    result = run("check")
    assert result.returncode == 0, result.stdout + result.stderr
    for text in ("packages: ", "numpy==", "add: [[2.0], [2.0]]", "sub: [[0.0], [0.0]]", "CVE-2025-23310"):
        assert text in result.stdout
    assert "This machine can serve" in result.stdout.splitlines()[-1]


def test_without_a_command_it_checks() -> None:
    result = run()
    assert result.returncode == 0
    assert "This machine can serve" in result.stdout


def test_reports_as_json(tmp_path: Path) -> None:
    workspace = tmp_path / "kept"
    result = run("check", "--json", "--zip", "-w", str(workspace), SOME_TOKEN="hush-hush")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["can_serve"] is True
    assert report["environment"]["python"]["executable"] == sys.executable
    assert findings(report)["HTTP"] == findings(report)["HTTP of a script"] == "ok"
    assert "hush-hush" not in result.stdout
    assert json.loads((workspace / "check.json").read_text()) == report
    with zipfile.ZipFile(tmp_path / "kept.zip") as packed:
        assert sorted(packed.namelist()) == ["check.json", "check_log.txt"]
        assert b"hush-hush" not in packed.read("check_log.txt")


def test_says_that_it_cannot_serve() -> None:
    result = run("check", "--json", PYTRITON_TRITONSERVER="/nowhere")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert report["can_serve"] is False
    assert report["verdict"] == "This machine cannot serve: server."
    assert "HTTP" not in findings(report)


def test_a_server_that_does_not_start_is_a_failure(tmp_path: Path) -> None:
    server = tmp_path / "tritonserver"
    server.write_text("#!/bin/sh\necho 'out of luck' >&2\nexit 7\n")
    server.chmod(0o700)
    result = run("example-add-sub", "--json", PYTRITON_TRITONSERVER=str(server))
    assert result.returncode == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding["status"] == "failed"
    assert "the server did not start" in finding["text"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("env", {"server"}),
        ("examples", {"HTTP", "HTTP of a script"}),
        ("example-add-sub", {"HTTP"}),
        ("example-add-sub-script", {"HTTP of a script", "script"}),
    ],
)
def test_commands_of_0_7(command: str, expected: set[str]) -> None:
    result = run(command, "--json")
    assert result.returncode == 0, result.stderr
    assert expected <= set(findings(json.loads(result.stdout)))


def test_refuses_a_workspace_that_exists(tmp_path: Path) -> None:
    result = run("check", "--workspace", str(tmp_path))
    assert result.returncode == 1
    assert f"--workspace {tmp_path}" in result.stderr.replace("\n", "")


def test_says_what_the_command_line_needs(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module\", name='typer')\n")
    result = run("check", PYTHONPATH=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == 'The command line of pytriton needs typer: pip install "pytriton[cli]"\n'


def test_says_its_version() -> None:
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("pytriton 0.")
