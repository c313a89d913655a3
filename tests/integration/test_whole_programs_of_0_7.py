# SPDX-License-Identifier: Apache-2.0
"""The programs of tests/programs_of_0_7/ print what they print with 0.7.0, but for what is written down."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.server import free_ports

PROGRAMS: Final = Path(__file__).parents[1] / "programs_of_0_7"
NAMES: Final = sorted(path.stem for path in PROGRAMS.glob("*.txt"))
OLD_PYTHON: Final = os.environ.get("PYTRITON_0_7_PYTHON", "")
_TIMEOUT_S: Final = 150.0
_OLD_TIMEOUT_S: Final = 400.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name: sockets of 0.7 lie in it, under names that must not be long."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def run(python: str, name: str, home: Path, timeout_s: float = _TIMEOUT_S) -> str:
    """What a program prints, run in an empty directory with ports of its own."""
    ports = dict(zip(("HTTP", "GRPC", "METRICS"), free_ports(3), strict=True))
    result = subprocess.run(
        [python, str(PROGRAMS / f"{name}.py")],
        cwd=home,
        env={
            **os.environ,
            **{f"PYTRITON_TRITON_CONFIG_{key}_PORT": str(port) for key, port in ports.items()},
            "PYTRITON_TRITON_CONFIG_LOG_FILE": str(home / "log"),
            "PYTRITON_HOME": str(home),
            "PYTHONUNBUFFERED": "1",
        },
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def written_down(name: str, marks: str) -> list[str]:
    """Lines that begin with a mark: "-" is said by 0.7.0 alone, "+" by this version alone, " " by both."""
    lines = (PROGRAMS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line[2:] for line in lines if line[:1] in marks]


def compare(said: list[str], expected: list[str]) -> None:
    assert said == expected, "\n".join(
        difflib.unified_diff(expected, said, "written down", "said", lineterm="")
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", NAMES)
def test_program(name: str, directory: Path) -> None:
    compare(run(sys.executable, name, directory).splitlines(), written_down(name, " +"))


@pytest.mark.slow
@pytest.mark.timeout(_OLD_TIMEOUT_S + 30)
@pytest.mark.skipif(
    not OLD_PYTHON, reason="PYTRITON_0_7_PYTHON names no interpreter that has nvidia-pytriton 0.7.0"
)
@pytest.mark.parametrize("name", NAMES)
def test_program_with_0_7(name: str, directory: Path) -> None:
    expected = written_down(name, " -")
    labels = {line.partition(":")[0] for line in expected}
    # The server and its stubs write on standard output as well.
    lines = run(OLD_PYTHON, name, directory, _OLD_TIMEOUT_S).splitlines()
    compare([line for line in lines if line.partition(":")[0] in labels], expected)


def test_every_program_has_its_text() -> None:
    assert [path.stem for path in sorted(PROGRAMS.glob("*.py")) if path.stem != "seen"] == NAMES
    assert len(NAMES) >= 25
