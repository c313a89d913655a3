# SPDX-License-Identifier: Apache-2.0
"""native/include/pytriton/triton_abi.h, which is ours, against the library of a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytriton.exceptions import PyTritonServerError
from pytriton.server.locate import locate_server

HEADER = Path(__file__).parents[2] / "native/include/pytriton/triton_abi.h"
ERROR_TEXTS = {"NOT_FOUND": "Not found", "INVALID_ARG": "Invalid argument"}
LIBRARY_VARIABLE = "PYTRITON_TEST_TRITON_LIBRARY"

# Runs in a process of its own, in which the library may do what it likes.
PROBE = """
import ctypes, json, sys
library = ctypes.CDLL(sys.argv[1])

def texts(function, count):
    function.restype = ctypes.c_char_p
    return [(function(number) or b"").decode() for number in range(count)]

def error_text(code):
    library.TRITONSERVER_ErrorNew.restype = ctypes.c_void_p
    library.TRITONSERVER_ErrorCodeString.restype = ctypes.c_char_p
    library.TRITONSERVER_ErrorCode.restype = ctypes.c_int
    error = ctypes.c_void_p(library.TRITONSERVER_ErrorNew(code, b"probe"))
    assert library.TRITONSERVER_ErrorCode(error) == code
    text = library.TRITONSERVER_ErrorCodeString(error).decode()
    library.TRITONSERVER_ErrorDelete(error)
    return text

def version(function):
    major, minor = ctypes.c_uint32(), ctypes.c_uint32()
    assert function(ctypes.byref(major), ctypes.byref(minor)) == 0
    return [major.value, minor.value]

print(json.dumps({
    "data_types": texts(library.TRITONSERVER_DataTypeString, 15),
    "element_sizes": [library.TRITONSERVER_DataTypeByteSize(number) for number in range(15)],
    "memory_types": texts(library.TRITONSERVER_MemoryTypeString, 3),
    "parameter_types": texts(library.TRITONSERVER_ParameterTypeString, 5),
    "error_codes": [error_text(code) for code in range(8)],
    "backend_api": version(library.TRITONBACKEND_ApiVersion),
    "missing": [name for name in sys.argv[2:] if not hasattr(library, name)],
}))
"""


def declared_functions() -> list[str]:
    """What the header takes from Triton, without the functions that Triton takes from us."""
    text = re.sub(r"//.*", "", HEADER.read_text(encoding="utf-8"))
    ours = set(re.findall(r"PYTRITON_EXPORT \w+\*? (TRITON\w+)\(", text))
    return sorted(set(re.findall(r"\b(TRITON(?:SERVER|BACKEND)_\w+)\(", text)) - ours)


def locate_library() -> Path:
    """The libtritonserver that the server would load."""
    if given := os.environ.get(LIBRARY_VARIABLE):
        return Path(given)
    try:
        server = locate_server()
    except PyTritonServerError as error:
        pytest.skip(error.message)
    resolved = subprocess.run(
        ["ldd", server.path], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    found = re.search(r"^\s*libtritonserver\S* => (/\S+)", resolved, re.MULTILINE)
    assert found is not None, resolved
    return Path(found[1])


@pytest.fixture(scope="module")
def triton() -> dict[str, Any]:
    library = locate_library()
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, library, *declared_functions()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert probe.returncode == 0, probe.stderr
    facts: dict[str, Any] = json.loads(probe.stdout)
    return facts


def names(numbers: dict[str, int], prefix: str) -> list[str]:
    """Names in the order of their numbers, which have to start at 0 and leave none out."""
    assert sorted(numbers.values()) == list(range(len(numbers)))
    return [name.removeprefix(prefix) for name in sorted(numbers, key=numbers.__getitem__)]


def test_header_is_understood() -> None:
    functions = declared_functions()
    assert len(functions) > 40
    assert "TRITONBACKEND_ResponseSend" in functions
    assert "TRITONBACKEND_ModelInstanceExecute" not in functions


def test_api_version(triton: dict[str, Any], native_facts: dict[str, Any]) -> None:
    required = native_facts["required_api"]
    major, minor = triton["backend_api"]
    assert major == required["kRequiredApiMajor"] == 1
    assert minor >= required["kRequiredApiMinor"] >= 19


def test_functions_are_exported(triton: dict[str, Any]) -> None:
    assert triton["missing"] == []


def test_data_types(triton: dict[str, Any], native_facts: dict[str, Any]) -> None:
    data_types = names(native_facts["data_types"], "TRITONSERVER_TYPE_")
    assert data_types == ["INVALID", *triton["data_types"][1:]]
    assert triton["data_types"][0] in ("<invalid>", "INVALID", "")
    assert list(native_facts["element_sizes"].values()) == triton["element_sizes"]


def test_error_codes(triton: dict[str, Any], native_facts: dict[str, Any]) -> None:
    *others, cancelled = names(native_facts["error_codes"], "TRITONSERVER_ERROR_")
    assert triton["error_codes"][:-1] == [
        ERROR_TEXTS.get(name, name.replace("_", " ").capitalize()) for name in others
    ]
    # Triton 2.51 knows the number and has no text for it.
    assert cancelled == "CANCELLED"
    assert triton["error_codes"][-1] in ("Cancelled", "<invalid code>")


def test_memory_types(triton: dict[str, Any], native_facts: dict[str, Any]) -> None:
    assert names(native_facts["memory_types"], "TRITONSERVER_MEMORY_") == triton["memory_types"]


def test_parameter_types(triton: dict[str, Any], native_facts: dict[str, Any]) -> None:
    assert (
        names(native_facts["triton_parameter_types"], "TRITONSERVER_PARAMETER_") == triton["parameter_types"]
    )
