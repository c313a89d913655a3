# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks fetch and build, kept between runs: wheels, virtual environments, the no-op backend."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.unavailable import Unavailable

__all__ = ["PERF_ANALYZER_WHEEL", "SERVER_WHEEL", "Cache", "PinnedWheel"]

_PIP_TIMEOUT_S = 900


@dataclass(frozen=True)
class PinnedWheel:
    """A wheel whose files we use without installing it."""

    project: str
    version: str
    sha256: frozenset[str] = field(default_factory=frozenset)  # one for each platform whose hash we know


SERVER_WHEEL = PinnedWheel(
    "nvidia-pytriton",
    "0.7.0",
    frozenset({"21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df"}),
)
PERF_ANALYZER_WHEEL = PinnedWheel(
    "tritonclient",
    "2.48.0",
    frozenset({"7074885798e8a711fedaf94d6dd77f310973fe2ebf29fb2837db350a43e2d6a5"}),
)


@dataclass(frozen=True)
class Cache:
    """The cache directory."""

    root: Path

    def directory(self, name: str) -> Path:
        """Return a directory of the cache, made if need be."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def unpacked(self, wheel: PinnedWheel) -> Path:
        """Return the directory that holds the wheel's files."""
        target = self.root / "unpacked" / f"{wheel.project}-{wheel.version}"
        if target.is_dir():
            return target
        archive = self._downloaded(wheel)
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(partial)
        partial.rename(target)
        return target

    def environment(self, name: str, interpreter: Path, requirements: Path) -> Path:
        """Return the interpreter of an environment with these requirements, built on the first call."""
        stamp = hashlib.sha256(
            f"{interpreter}\n{requirements.read_text(encoding='utf-8')}".encode()
        ).hexdigest()
        home = self.root / "environments" / name
        python = home / "bin" / "python"
        mark = home / "requirements.sha256"
        if mark.is_file() and mark.read_text(encoding="utf-8") == stamp:
            return python
        shutil.rmtree(home, ignore_errors=True)
        _run([str(interpreter), "-m", "venv", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", "-r", str(requirements)])
        mark.write_text(stamp, encoding="utf-8")
        return python

    def _downloaded(self, wheel: PinnedWheel) -> Path:
        directory = self.directory("wheels")
        pattern = f"{wheel.project.replace('-', '_')}-{wheel.version}-*.whl"
        if not list(directory.glob(pattern)):
            pinned = f"{wheel.project}=={wheel.version}"
            download = [
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--dest",
                str(directory),
                pinned,
            ]
            _run([sys.executable, "-m", "pip", *download])
        found = next(directory.glob(pattern))
        digest = hashlib.sha256(found.read_bytes()).hexdigest()
        if "x86_64" in found.name and digest not in wheel.sha256:
            raise Unavailable(f"{found.name} has the sha256 {digest}, which is not the pinned one")
        return found


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S)
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"gave up after {_PIP_TIMEOUT_S} s: {' '.join(command)}") from error
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or "").strip().splitlines()
        reason = next(
            (line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "no output"
        )
        raise Unavailable(f"{' '.join(command[:4])} … failed: {reason}") from error
