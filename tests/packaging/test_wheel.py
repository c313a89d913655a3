# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import posixpath
import re
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from elf import Elf, is_elf, read_elf

BACKEND = "pytriton/_native/backends/pytriton/libtriton_pytriton.so"
PRELOAD = "pytriton/_native/backends/pytriton/libpytriton_preload.so"
SERVER = "pytriton/_native/triton/tritonserver/bin/tritonserver"
CACHE = "pytriton/_native/triton/tritonserver/caches/local/libtritoncache_local.so"

# What every Linux with this C library has; all of it is in the manylinux policy.
SYSTEM_LIBRARIES = re.compile(
    r"(ld-linux|libc|libdl|libgcc_s|libm|libpthread|libresolv|librt|libstdc\+\+|libz)[-.\w]*\.so[.\d]*"
)
NOT_SHIPPED = ("libpython", "libarchive", "libacl", "libbz2", "liblz4", "libtriton_python", "triton_python")


@pytest.fixture(scope="module")
def names(built_wheel: Path) -> list[str]:
    with zipfile.ZipFile(built_wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def elves(built_wheel: Path) -> dict[str, Elf]:
    with zipfile.ZipFile(built_wheel) as archive:
        contents = ((name, archive.read(name)) for name in archive.namelist())
        return {name: read_elf(content) for name, content in contents if is_elf(content)}


def test_tag_is_for_every_python_and_true_of_the_files(built_wheel: Path, elves: dict[str, Elf]) -> None:
    major, minor = max((2, 35), *(elf.glibc for elf in elves.values()))
    assert built_wheel.name.endswith(f"-py3-none-manylinux_{major}_{minor}_{platform.machine()}.whl")
    with zipfile.ZipFile(built_wheel) as archive:
        (wheel_file,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        fields = Parser().parsestr(archive.read(wheel_file).decode())
    assert fields.get_all("Tag") == [built_wheel.stem.split("-", 2)[2]]
    assert fields["Root-Is-Purelib"] == "false"


def test_holds_the_backend_the_server_and_the_cache(names: list[str]) -> None:
    assert {BACKEND, PRELOAD, SERVER, CACHE, "pytriton/py.typed", "pytriton/_native/triton/LICENSE"} <= set(
        names
    )


def test_holds_neither_the_python_backend_nor_what_only_it_needs(names: list[str]) -> None:
    files = [posixpath.basename(name) for name in names]
    assert not [file for file in files if file.startswith(NOT_SHIPPED) or file.endswith("_stub")]


def test_holds_no_sources_of_the_native_part(names: list[str]) -> None:
    assert not [name for name in names if name.endswith((".cc", ".h", ".cmake", ".a"))]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"pytriton"}


def test_server_is_executable(built_wheel: Path) -> None:
    with zipfile.ZipFile(built_wheel) as archive:
        assert (archive.getinfo(SERVER).external_attr >> 16) & 0o777 == 0o755


def test_every_library_that_a_file_needs_is_in_the_wheel_or_the_system(elves: dict[str, Elf]) -> None:
    shipped = {posixpath.basename(name) for name in elves}
    missing = {
        (name, library)
        for name, elf in elves.items()
        for library in elf.needed
        if library not in shipped and not SYSTEM_LIBRARIES.fullmatch(library)
    }
    assert not missing


def test_every_shipped_library_is_needed(elves: dict[str, Elf]) -> None:
    reached: set[str] = set()
    pending = {SERVER, CACHE}
    by_file = {posixpath.basename(name): name for name in elves}
    while pending:
        name = pending.pop()
        reached.add(name)
        pending |= {by_file[library] for library in elves[name].needed if library in by_file} - reached
    assert set(elves) - reached == {BACKEND, PRELOAD}


@pytest.mark.parametrize("name", [SERVER, CACHE])
def test_rpath_leads_to_the_libraries(elves: dict[str, Elf], name: str) -> None:
    folders = {
        posixpath.normpath(re.sub(r"\$\{?ORIGIN\}?", posixpath.dirname(name), folder))
        for folder in elves[name].rpath
    }
    assert "pytriton/_native/nvidia_pytriton.libs" in folders


@pytest.mark.parametrize("name", [BACKEND, PRELOAD])
def test_libraries_of_our_own_need_only_the_c_library(elves: dict[str, Elf], name: str) -> None:
    needed = elves[name].needed
    assert not [library for library in needed if not library.startswith(("libc.", "libm.", "ld-linux"))]
    assert not elves[name].rpath


def test_libraries_of_our_own_export_only_what_is_called(elves: dict[str, Elf]) -> None:
    assert set(elves[PRELOAD].exported) == {
        "TRITONSERVER_InferenceRequestCancel",
        "TRITONSERVER_InferenceRequestDelete",
        "TRITONSERVER_InferenceRequestNew",
        "TRITONSERVER_InferenceRequestSetReleaseCallback",
        "TRITONSERVER_InferenceRequestSetResponseCallback",
        "TRITONSERVER_ResponseAllocatorNew",
        "TRITONSERVER_ServerInferAsync",
        "TRITONSERVER_ServerIsReady",
        "TRITONSERVER_ServerModelConfig",
        "TRITONSERVER_ServerModelIsReady",
        "TRITONSERVER_ServerModelMetadata",
        "TRITONSERVER_ServerModelTransactionProperties",
        "TRITONSERVER_ServerStop",
        "pthread_cond_clockwait",
        "pytriton_count_queue_policies",
        "pytriton_set_ending",
        "pytriton_set_model_check",
        "pytriton_set_request_gate",
        "send",
        "signal",
    }
    backend = elves[BACKEND]
    assert backend.exported
    assert not [symbol for symbol in backend.exported if not symbol.startswith("TRITONBACKEND_")]
