# SPDX-License-Identifier: Apache-2.0
"""A build that cannot work says why in one sentence, before anything is compiled or downloaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CMAKE = Path(sys.executable).with_name("cmake")
pytestmark = pytest.mark.skipif(not CMAKE.exists(), reason="needs the cmake of `make venv`")


def configure(root: Path, folder: Path, *arguments: str, **environment: str) -> str:
    """Return what CMake says while it fails, as one line."""
    search_path = f"{CMAKE.parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [str(CMAKE), "-S", str(root), "-B", str(folder), "-G", "Ninja", *arguments],
        env={**os.environ, "PATH": search_path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    return " ".join(result.stderr.split())


def test_no_compiler(root: Path, tmp_path: Path) -> None:
    said = configure(root, tmp_path, CXX=str(tmp_path / "no-such-compiler"))
    assert (
        "found no C++20 compiler: install one (on Debian and Ubuntu: apt-get install g++) or set CXX" in said
    )


def test_compiler_without_cxx20(root: Path, tmp_path: Path) -> None:
    # A compiler that knows the flag and lacks the headers.
    (tmp_path / "span").write_text("#error this library is too old\n")
    said = configure(root, tmp_path / "build", f"-DCMAKE_CXX_FLAGS=-I{tmp_path}")
    assert "pytriton needs a C++20 compiler" in said
    assert "apt-get install g++" in said


def test_not_linux(root: Path, tmp_path: Path) -> None:
    said = configure(root, tmp_path, "-DCMAKE_SYSTEM_NAME=Generic")
    assert "pytriton runs on Linux only and this is Generic" in said


def test_server_wheel_that_is_not_there(root: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent.whl"
    said = configure(
        root, tmp_path / "build", "-DPYTRITON_BUNDLE_SERVER=ON", f"-DPYTRITON_SERVER_WHEEL={absent}"
    )
    assert "and there is no such file: give the path of the wheel." in said
