# SPDX-License-Identifier: Apache-2.0
"""What this machine and this Python have; nothing that could be a secret."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

from pytriton.constants import pytriton_home

__all__ = ["describe_environment", "glibc_version"]

_COMMAND_TIMEOUT_S: Final = 10.0
_GPU_FIELDS: Final = ("name", "driver_version", "memory.total", "memory.used", "compute_cap")
# Variables that can matter here; any other one is nobody's business.
_VARIABLES: Final = re.compile(
    r"(PYTRITON|TRITON|TRITONSERVER|CUDA|NVIDIA|OTEL|GRPC|OMP|MKL|PYTHON|CONDA|VIRTUAL_ENV|AIP|XDG_CACHE)(_.*|[A-Z]*)"
    r"|PATH|LD_LIBRARY_PATH|LD_PRELOAD|HOME|LANG|KUBERNETES_SERVICE_HOST"
)
_SECRET: Final = re.compile(r"token|secret|key|passw|credential|auth|header|cookie", re.IGNORECASE)
_USER_IN_URL: Final = re.compile(r"(?<=://)[^/\s@]+@")


def describe_environment() -> dict[str, Any]:
    """The report, as JSON has it."""
    return {
        "system": _system(),
        "python": _python(),
        "packages": _packages(),
        "memory": _memory(),
        "disk": _disk(),
        "gpu": _gpus(),
        "compiler": _first_line("gcc", "--version"),
        "variables": _variables(),
    }


def glibc_version() -> tuple[int, ...]:
    """Version of the C library; empty where it is another one."""
    name, version = platform.libc_ver()
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else ()


def _system() -> dict[str, Any]:
    return {
        "os": _os_name(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "glibc": ".".join(map(str, glibc_version())) or None,
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "container": Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
    }


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _python() -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "executable": sys.executable,
        "prefix": sys.prefix,
    }


def _packages() -> dict[str, str]:
    found = {
        name: distribution.version
        for distribution in importlib.metadata.distributions()
        if (name := distribution.metadata["Name"])
    }
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _memory() -> dict[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    numbers = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    wanted = {
        "total": "MemTotal",
        "available": "MemAvailable",
        "swap_total": "SwapTotal",
        "swap_free": "SwapFree",
    }
    return {name: numbers[field] for name, field in wanted.items() if field in numbers}


def _disk() -> dict[str, Any]:
    home = pytriton_home()
    existing = next(path for path in (home, *home.parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return {"workspaces": str(home), "total": usage.total, "free": usage.free}


def _gpus() -> list[dict[str, str]]:
    text = _output("nvidia-smi", f"--query-gpu={','.join(_GPU_FIELDS)}", "--format=csv,noheader")
    lines = [line.split(",") for line in (text or "").splitlines()]
    return [
        dict(zip(_GPU_FIELDS, map(str.strip, line), strict=True))
        for line in lines
        if len(line) == len(_GPU_FIELDS)
    ]


def _variables() -> dict[str, str]:
    return {
        name: _USER_IN_URL.sub("", value)
        for name, value in sorted(os.environ.items())
        if _VARIABLES.fullmatch(name) and not _SECRET.search(name) and not _SECRET.search(value)
    }


def _first_line(*command: str) -> str | None:
    text = _output(*command)
    return text.splitlines()[0] if text else None


def _output(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_COMMAND_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout
