# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from test_interpreters import find_interpreters, probe


def test_finds_the_running_interpreter_once() -> None:
    found = find_interpreters()
    paths = [interpreter.path for interpreter in found]
    assert len(paths) == len(set(paths))
    assert Path(sys._base_executable).resolve() in paths  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "script",
    ["exit 127", 'echo \'["PyPy", "3.11.0", 11, "/pypy"]\'', 'echo \'["CPython", "3.9.0", 9, "/p"]\''],
)
def test_passes_over_what_is_no_supported_interpreter(tmp_path: Path, script: str) -> None:
    fake = tmp_path / "python3.11"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    assert probe(fake) is None
