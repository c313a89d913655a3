# SPDX-License-Identifier: Apache-2.0
"""`pytriton init`: the project that it writes runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.command import pytriton, serving_command


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=50, check=False
    )


def test_the_project_serves_answers_and_passes_its_tests(tmp_path: Path) -> None:
    result = pytriton("init", "my-project", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "cd my-project && pytriton serve --reload" in result.stdout
    project = tmp_path / "my-project"
    assert 'name = "my-project"' in (project / "pyproject.toml").read_text()
    tests = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert tests.returncode == 0, tests.stdout
    with serving_command(project) as (command, address, said):
        assert [model["name"] for model in said["models"]] == ["Linear", "shout"]
        client = (project / "client.py").read_text()
        (project / "client.py").write_text(client.replace('"localhost"', f'"localhost:{address.http_port}"'))
        asked = run("client.py", cwd=project)
        assert asked.returncode == 0, asked.stderr
        assert "HELLO?" in asked.stdout
        url = ["-u", address.url]
        assert "HELLO?" in pytriton("infer", "shout", "hello", "-p", "end=?", *url).stdout
        assert "output  FP32[3]" in pytriton("infer", "Linear", "[1, 2]", *url).stdout
        assert command.end() == 0


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("mine")
    result = pytriton("init", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"pytriton: {tmp_path} has service.py already; give another directory.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["service.py"]
    assert pytriton("init", "a b", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "a b").exists()


def test_says_what_it_has_written_as_json(tmp_path: Path) -> None:
    result = pytriton("init", "x", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["files"] == sorted(os.listdir(tmp_path / "x"))
