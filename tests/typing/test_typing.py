# SPDX-License-Identifier: Apache-2.0
"""mypy and pyright agree with what the files in `cases` say; see the first of them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.helpers.applications import app

CASES = Path(__file__).with_name("cases")
ROOT = CASES.parents[2]
Check: TypeAlias = Callable[[Path], None]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _run(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)


def check_with_mypy(folder: Path) -> None:
    """Strict, and with nothing of the configuration of this repository."""
    result = _run("mypy", "--config-file=", "--strict", "--cache-dir", str(folder / "cache"), ".", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Success" in result.stdout


def check_with_pyright(folder: Path) -> None:
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    if _run("pyright", "--version", cwd=folder).returncode != 0:
        pytest.skip("pyright cannot fetch its own program here")
    result = _run("pyright", "--pythonpath", sys.executable, ".", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 errors" in result.stdout


CHECKS = pytest.mark.parametrize("check", [check_with_mypy, check_with_pyright])


@CHECKS
def test_applications(check: Check, tmp_path: Path) -> None:
    shutil.copy(CASES / "app_cases.py", tmp_path)
    check(tmp_path)


@CHECKS
def test_client_stubs(check: Check, tmp_path: Path) -> None:
    shutil.copy(CASES / "stub_cases.py", tmp_path)
    (tmp_path / "stub.py").write_text("# pyright: strict\n" + app.client_stub("app:app"), encoding="utf-8")
    check(tmp_path)


@CHECKS
def test_mistakes_are_found(check: Check, tmp_path: Path) -> None:
    text = (CASES / "app_cases.py").read_text(encoding="utf-8")
    (tmp_path / "wrong.py").write_text(text.replace("list[Model]", "list[int]"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"wrong\.py"):
        check(tmp_path)
