# SPDX-License-Identifier: Apache-2.0
"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

__all__ = ["describe_machine"]


def describe_machine() -> dict[str, str | int]:
    """Return the facts about this machine that a reader of the numbers needs."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _field("/proc/cpuinfo", "model name"),
        "memory_kib": int(_field("/proc/meminfo", "MemTotal").split()[0] or 0),
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "runner_python": platform.python_version(),
        "wrk": _first_line(["wrk", "--version"]),
        "load_before": os.getloadavg()[0].__format__(".2f"),
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _first_line(command: list[str]) -> str:
    try:
        # wrk prints its version as part of its usage text and exits with 1.
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "not installed"
    return ((result.stdout + result.stderr).strip().splitlines() or ["unknown"])[0]
