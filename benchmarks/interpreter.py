# SPDX-License-Identifier: Apache-2.0
"""The interpreter for the peers: one on which PyTriton 0.7.0 and Triton's Python backend run."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.unavailable import Unavailable

__all__ = ["Interpreter", "reference_interpreter"]

# Both embed libpython, so the dynamic loader must find it.
# 0.7.0 needs NumPy 1.26, which has wheels for 3.9 to 3.12.
_PROBE = """
import ctypes, ensurepip, json, sys, venv
version = "%d.%d" % sys.version_info[:2]
ctypes.CDLL("libpython%s.so.1.0" % version)
print(json.dumps([version, sys.version.split()[0]]))
"""
_VERSIONS = ("3.9", "3.10", "3.11", "3.12")


@dataclass(frozen=True)
class Interpreter:
    """A usable interpreter."""

    path: Path
    version: str  # "3.11"
    full_version: str  # "3.11.2"


def reference_interpreter(given: Path | None = None) -> Interpreter:
    """Return `given`, or the first interpreter found, that can host all peers."""
    names = ["/usr/bin/python3", *(f"python{version}" for version in reversed(_VERSIONS))]
    candidates = [str(given)] if given else [path for name in names if (path := shutil.which(name))]
    reasons = []
    for candidate in candidates:
        try:
            result = subprocess.run(
                [candidate, "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(f"{candidate}: {error}")
            continue
        if result.returncode == 0 and result.stdout:
            version, full_version = json.loads(result.stdout)
            if version in _VERSIONS:
                return Interpreter(Path(candidate), version, full_version)
            reasons.append(f"{candidate} is {version}, not one of {', '.join(_VERSIONS)}")
        else:
            said = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
            reasons.append(f"{candidate}: {said[-1]}")
    raise Unavailable(
        "no interpreter with venv and a findable libpython: " + ("; ".join(reasons) or "none found")
    )
