# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytriton import _native
from pytriton.exceptions import PyTritonServerError
from pytriton.server import locate
from pytriton.server.locate import ServerBinary, locate_backends, locate_server


def make_server(directory: Path) -> Path:
    path = directory / "bin" / "tritonserver"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(locate.SERVER_VARIABLE, raising=False)
    monkeypatch.delenv("PYTRITON_BACKEND_DIRECTORY", raising=False)
    monkeypatch.setattr(_native, "BUNDLED_SERVER", None)
    monkeypatch.setattr(_native, "CACHE_DIRECTORY", None)
    monkeypatch.setattr(_native, "BACKEND_DIRECTORY", None)
    monkeypatch.setattr(locate, "_CONTAINER_SERVER", tmp_path / "container" / "bin" / "tritonserver")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def test_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_path = tmp_path / "path" / "tritonserver"
    on_path.parent.mkdir()
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    assert locate_server() == ServerBinary(on_path)

    container = make_server(tmp_path / "container")
    assert locate_server() == ServerBinary(container)

    bundled = make_server(tmp_path / "bundled")
    monkeypatch.setattr(_native, "BUNDLED_SERVER", bundled)
    monkeypatch.setattr(_native, "CACHE_DIRECTORY", tmp_path / "caches")
    assert locate_server() == ServerBinary(bundled, tmp_path / "caches")

    variable = make_server(tmp_path / "variable")
    monkeypatch.setenv(locate.SERVER_VARIABLE, str(variable))
    assert locate_server() == ServerBinary(variable)

    explicit = make_server(tmp_path / "explicit")
    assert locate_server(explicit) == ServerBinary(explicit)
    assert locate_server(str(tmp_path / "explicit")) == ServerBinary(explicit)


def test_missing_server_says_where_it_looked() -> None:
    with pytest.raises(PyTritonServerError) as caught:
        locate_server()
    for place in (
        "argument server",
        locate.SERVER_VARIABLE,
        "bundled",
        "container",
        "PATH",
        "Triton(server=...)",
    ):
        assert place in caught.value.message


def test_explicit_server_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_native, "BUNDLED_SERVER", make_server(tmp_path / "bundled"))
    with pytest.raises(PyTritonServerError, match=r"server='/nowhere'.*is not a file"):
        locate_server("/nowhere")
    monkeypatch.setenv(locate.SERVER_VARIABLE, "/nowhere")
    with pytest.raises(PyTritonServerError, match=r"PYTRITON_TRITONSERVER='/nowhere'.*is not a file"):
        locate_server()


def test_server_that_is_not_executable(tmp_path: Path) -> None:
    server = make_server(tmp_path / "explicit")
    server.chmod(0o644)
    with pytest.raises(PyTritonServerError, match=r"not executable\. Try `chmod"):
        locate_server(server)


def test_backends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PyTritonServerError, match="pip install"):
        locate_backends()
    monkeypatch.setattr(_native, "BACKEND_DIRECTORY", tmp_path)
    with pytest.raises(PyTritonServerError, match=r"libtriton_pytriton\.so, which is not a file"):
        locate_backends()
    library = tmp_path / "pytriton" / "libtriton_pytriton.so"
    library.parent.mkdir()
    library.touch()
    assert locate_backends() == tmp_path


def test_sources_that_were_not_built_use_what_is_installed(tmp_path: Path) -> None:
    clone, installed = tmp_path / "clone", tmp_path / "site-packages"
    for base in (clone, installed):
        (base / "pytriton" / "_native").mkdir(parents=True)
    (clone / "pytriton" / "__init__.py").touch()
    shutil.copy(str(_native.__file__), clone / "pytriton" / "_native")
    server = installed / "pytriton" / "_native" / "triton" / "tritonserver" / "bin" / "tritonserver"
    server.parent.mkdir(parents=True)
    server.touch()
    result = subprocess.run(
        [sys.executable, "-S", "-c", "from pytriton import _native; print(_native.BUNDLED_SERVER)"],
        env={"PYTHONPATH": f"{clone}{os.pathsep}{installed}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"{server}\n"
