# SPDX-License-Identifier: Apache-2.0
"""Install one built wheel on every CPython found here and run the unit and smoke tests with each.

python scripts/test_interpreters.py dist/pytriton-*.whl
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Interpreter", "candidates", "find_interpreters", "main"]

ROOT = Path(__file__).resolve().parent.parent
MINORS = range(10, 15)
PROBE = """
import json, os, platform, sys
print(json.dumps([
    platform.python_implementation(), platform.python_version(), sys.version_info[1],
    os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
]))
"""


@dataclass(frozen=True, order=True)
class Interpreter:
    minor: int
    version: str
    path: Path


def candidates() -> Iterator[Path]:
    """Give every path where an interpreter may be, without running it."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield from (Path(folder, f"python3.{minor}") for minor in MINORS)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/*/bin/python3"))
    yield Path("/usr/bin/python3")
    yield Path(sys.executable)


def probe(path: Path) -> Interpreter | None:
    try:
        answer = subprocess.run(
            [path, "-c", PROBE], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # a pyenv shim without a version behind it, for one
    implementation, version, minor, executable = json.loads(answer)
    if implementation != "CPython" or minor not in MINORS:
        return None
    return Interpreter(minor, version, Path(executable))


def find_interpreters() -> list[Interpreter]:
    found = (probe(path) for path in dict.fromkeys(candidates()) if path.exists())
    return sorted({interpreter.path: interpreter for interpreter in found if interpreter}.values())


def copy_tests(folder: Path) -> None:
    # Away from the source tree, so that `import pytriton` cannot find anything but the installed wheel.
    ignore = shutil.ignore_patterns("__pycache__", ".cache", "results")
    for name in ("tests", "benchmarks", "deploy", "docs", "examples", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)


def run_tests(interpreter: Interpreter, wheel: Path, folder: Path) -> bool:
    """Return whether the tests passed on a fresh virtual environment of this interpreter."""
    venv = folder / "venv"
    python = venv / "bin" / "python"
    # The oldest interpreter also stands for the oldest NumPy.
    numpy = ["numpy==1.26.*"] if interpreter.minor == MINORS.start else []
    # Debian's interpreters may lack ensurepip; the running one's pip can install into any of them.
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--group", "test"]
    commands = [
        [str(interpreter.path), "-m", "venv", "--without-pip", str(venv)],
        [*install, str(wheel), *numpy],
        [str(python), "-m", "pytest", "-q", "tests/unit"],
        [str(python), "-m", "pytest", "-q", "-m", "smoke", "--ignore=tests/unit", "tests"],
    ]
    copy_tests(folder)
    return all(subprocess.run(command, cwd=folder, check=False).returncode == 0 for command in commands)


def main() -> int:
    wheel = Path(sys.argv[1]).resolve()
    work = ROOT / "build" / "interpreters"
    shutil.rmtree(work, ignore_errors=True)
    results: dict[Interpreter, bool] = {}
    for number, interpreter in enumerate(find_interpreters()):
        print(f"== CPython {interpreter.version} ({interpreter.path})", flush=True)
        folder = work / str(number)
        folder.mkdir(parents=True)
        results[interpreter] = run_tests(interpreter, wheel, folder)
        if results[interpreter]:
            shutil.rmtree(folder)  # a few hundred megabytes each
    for interpreter, passed in results.items():
        print(f"CPython {interpreter.version:8} {'passed' if passed else 'FAILED'}  {interpreter.path}")
    return 0 if results and all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
