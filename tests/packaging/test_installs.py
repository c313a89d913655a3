# SPDX-License-Identifier: Apache-2.0
"""Every way of installing gives a package that finds its backend and a server that starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROBE = """
import json, pytriton, pytriton._native as native
library = "pytriton/libtriton_pytriton.so"
print(json.dumps({
    "version": pytriton.__version__,
    "package": pytriton.__file__,
    "backend": str(native.BACKEND_DIRECTORY and native.BACKEND_DIRECTORY / library),
    "server": str(native.BUNDLED_SERVER),
    "caches": str(native.CACHE_DIRECTORY),
}))
"""


class Environment:
    """A virtual environment of its own, without pip: the running one installs into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)

    def install(self, *arguments: str, **environment: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, *arguments], env={**os.environ, **environment}, check=True)

    def probe(self) -> dict[str, str]:
        output = subprocess.run(
            [str(self.python), "-c", PROBE], cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout
        answer: dict[str, str] = json.loads(output)
        return answer


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


def check_complete(answer: dict[str, str]) -> None:
    assert Path(answer["backend"]).is_file()
    assert Path(answer["caches"], "local", "libtritoncache_local.so").is_file()
    server = subprocess.run(
        [answer["server"], "--help"], capture_output=True, text=True, check=False, timeout=30
    )
    assert "--backend-directory" in server.stdout + server.stderr


def test_wheel(environment: Environment, built_wheel: Path) -> None:
    environment.install(str(built_wheel))
    answer = environment.probe()
    check_complete(answer)
    assert answer["version"] == built_wheel.name.split("-")[1]
    assert Path(answer["package"]).is_relative_to(environment.folder)


def test_editable(environment: Environment, root: Path) -> None:
    environment.install("--editable", str(root))
    answer = environment.probe()
    check_complete(answer)
    assert Path(answer["package"]).is_relative_to(root)


def test_without_a_server(environment: Environment, root: Path) -> None:
    environment.install(str(root), PYTRITON_BUNDLE_SERVER="OFF")
    answer = environment.probe()
    assert Path(answer["backend"]).is_file()
    assert Path(answer["package"]).is_relative_to(environment.folder)
    assert (answer["server"], answer["caches"]) == ("None", "None")
