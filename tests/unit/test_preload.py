# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytriton.exceptions import PyTritonServerError, PyTritonValidationError
from pytriton.server import preload
from pytriton.server.preload import preloading

COMMAND = [
    "/bin/tritonserver",
    "--id=a=b",
    "--http-restricted-api=trace,logging:key=first",
    "--http-port=1",
    "--grpc-restricted-protocol=trace:key=second",
]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "library.so"
    path.touch()
    monkeypatch.setattr(preload, "locate_preload_library", lambda: path)
    return path


def test_command_without_secrets_stays_as_it_is(library: Path) -> None:
    with preloading(COMMAND[:2], {}) as start:
        variables = {"PYTRITON_HIDDEN_ARGUMENTS": "", "LD_PRELOAD": str(library)}
        assert start == (COMMAND[:2], variables, [])


def test_secrets_go_into_a_variable(library: Path) -> None:
    with preloading(COMMAND, {"LD_PRELOAD": ""}) as start:
        assert start.command == [
            "/bin/tritonserver",
            "--id=a=b",
            "--http-restricted-api=trace,logging:key=<hidden>",
            "--http-port=1",
            "--grpc-restricted-protocol=trace:key=<hidden>",
        ]
        assert start.variables == {
            "PYTRITON_HIDDEN_ARGUMENTS": "first\nsecond",
            "LD_PRELOAD": str(library),
        }
        assert start.descriptors == []


def test_what_looks_like_the_mask(library: Path) -> None:
    with preloading(["/bin/tritonserver", "--id=<hidden>"], {}) as start:
        assert start.command == ["/bin/tritonserver", "--id=<hidden>"]
        assert start.variables["PYTRITON_HIDDEN_ARGUMENTS"] == "<hidden>"


def test_what_else_is_preloaded_stays(library: Path) -> None:
    with preloading(COMMAND, {"LD_PRELOAD": "libother.so"}) as start:
        assert start.variables["LD_PRELOAD"] == f"{library}:libother.so"
        assert start.variables["PYTRITON_LD_PRELOAD"] == "libother.so"


def test_path_that_the_variable_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my:own library.so"
    path.write_text("content", encoding="utf-8")
    monkeypatch.setattr(preload, "locate_preload_library", lambda: path)
    with preloading(COMMAND, {}) as start:
        (descriptor,) = start.descriptors
        assert start.variables["LD_PRELOAD"] == f"/proc/self/fd/{descriptor}"
        assert os.pread(descriptor, 7, 0) == b"content"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("secret", ["a\nb", "a\0b"])
def test_secret_that_cannot_be_handed_over(secret: str) -> None:
    start = preloading([f"--http-restricted-api=trace:key={secret}"], {})
    with pytest.raises(PyTritonValidationError, match="secret of --http-restricted-api"), start:
        pass


def test_library_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytriton._native.BACKEND_DIRECTORY", tmp_path)
    start = preloading(COMMAND, {})
    with pytest.raises(PyTritonServerError, match=r"libpytriton_preload\.so is missing"), start:
        pass
