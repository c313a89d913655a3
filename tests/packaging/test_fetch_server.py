# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(root: Path) -> Path:
    return root / "cmake" / "fetch_server.py"


@pytest.fixture(scope="module")
def fetch_server(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_server", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("system", "machine", "libc", "problem"),
    [
        ("Darwin", "arm64", None, "runs on Linux only and this is Darwin"),
        ("Windows", "AMD64", None, "runs on Linux only and this is Windows"),
        ("Linux", "riscv64", "glibc 2.41", "for aarch64 and x86_64 and this machine is riscv64"),
        ("Linux", "x86_64", "glibc 2.34", "needs glibc 2.35 or newer and this system has glibc 2.34"),
        ("Linux", "x86_64", "glibc 2.9", "this system has glibc 2.9"),
        ("Linux", "aarch64", None, "this system has another C library"),
    ],
)
def test_refuses_a_machine_on_which_the_server_cannot_run(
    fetch_server: ModuleType, system: str, machine: str, libc: str | None, problem: str
) -> None:
    with pytest.raises(fetch_server.FetchError, match=problem) as caught:
        fetch_server.check_platform(system, machine, libc)
    assert ": build " in str(caught.value) or ": use " in str(caught.value)


@pytest.mark.parametrize(
    ("machine", "libc"), [("x86_64", "glibc 2.35"), ("aarch64", "glibc 2.41"), ("x86_64", "glibc 3.0")]
)
def test_accepts_a_machine_on_which_the_server_runs(
    fetch_server: ModuleType, machine: str, libc: str
) -> None:
    fetch_server.check_platform("Linux", machine, libc)


@pytest.mark.parametrize(
    ("member", "destination"),
    [
        ("pytriton/tritonserver/bin/tritonserver", "triton/tritonserver/bin/tritonserver"),
        (
            "pytriton/tritonserver/caches/local/libtritoncache_local.so",
            "triton/tritonserver/caches/local/libtritoncache_local.so",
        ),
        (
            "nvidia_pytriton.libs/libtritonserver-717102f0.so",
            "nvidia_pytriton.libs/libtritonserver-717102f0.so",
        ),
        ("nvidia_pytriton-0.7.0.dist-info/licenses/LICENSE", "triton/LICENSE"),
        ("pytriton/tritonserver/backends/python/libtriton_python.so", None),
        ("pytriton/tritonserver/python_backend_stubs/3.12/triton_python_backend_stub", None),
        ("nvidia_pytriton.libs/libpython3-419a3a08.13.so.1.0", None),
        ("nvidia_pytriton.libs/libarchive-3508abb0.so.13.6.0", None),
        ("pytriton/triton.py", None),
        ("nvidia_pytriton-0.7.0.dist-info/RECORD", None),
    ],
)
def test_takes_only_the_server_out_of_the_wheel(
    fetch_server: ModuleType, member: str, destination: str | None
) -> None:
    assert fetch_server.destination_of(member) == destination


def test_unpacking_restores_the_executable_bit(fetch_server: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pytriton/tritonserver/bin/tritonserver", "program")
        archive.writestr("nvidia_pytriton.libs/libssl-57118d4e.so.3", "library")
        archive.writestr("nvidia_pytriton.libs/libbz2-5e516f77.so.1.0.4", "library")
    folder = tmp_path / "server"
    (folder / "left from before").mkdir(parents=True)
    fetch_server.unpack(wheel, folder)
    modes = {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert modes == {
        "triton/tritonserver/bin/tritonserver": 0o755,
        "nvidia_pytriton.libs/libssl-57118d4e.so.3": 0o644,
    }
    assert not (folder / "left from before").exists()


def run(script: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), str(folder), *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=50
    )


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the platform is refused first")
class TestCommand:
    def test_refuses_a_wheel_with_another_hash(self, script: Path, tmp_path: Path) -> None:
        wheel = tmp_path / "nvidia_pytriton-0.7.0.whl"
        wheel.write_bytes(b"something else")
        result = run(script, tmp_path / "server", f"--wheel={wheel}")
        assert result.returncode == 1
        assert f"{wheel.name} has SHA-256 {hashlib.sha256(b'something else').hexdigest()}" in result.stdout
        assert result.stdout.count("\n") == 1
        assert not (tmp_path / "server").exists()

    def test_says_which_file_is_missing(self, script: Path, tmp_path: Path) -> None:
        result = run(script, tmp_path / "server", f"--wheel={tmp_path / 'absent.whl'}")
        assert result.returncode == 1
        assert (
            f"PYTRITON_SERVER_WHEEL is {tmp_path / 'absent.whl'} and there is no such file" in result.stdout
        )

    def test_says_what_to_do_without_an_index(self, script: Path, tmp_path: Path) -> None:
        result = run(
            script,
            tmp_path / "server",
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(tmp_path),
            PIP_CONFIG_FILE=os.devnull,
        )
        assert result.returncode == 1
        assert result.stdout.startswith(
            "pip could not download nvidia-pytriton==0.7.0 (ERROR: No matching distribution"
        )
        assert "PYTRITON_SERVER_WHEEL" in result.stdout
        assert result.stdout.count("\n") == 1
        assert "downloading the Triton server" in result.stderr
