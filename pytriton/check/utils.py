# SPDX-License-Identifier: Apache-2.0
"""Small helpers for programs that test what they serve."""

from __future__ import annotations

import os
import re
import socket
from typing import Final

from pytriton.check.monitoring import ProcessMonitoring, ProcessMonitoringThread
from pytriton.check.script import ScriptThread

__all__ = [
    "DEFAULT_LOG_FORMAT",
    "ProcessMonitoring",
    "ProcessMonitoringThread",
    "ScriptThread",
    "find_free_port",
    "get_current_container_version",
    "search_warning_on_too_verbose_log_level",
]

DEFAULT_LOG_FORMAT: Final = (
    "%(asctime)s - %(levelname)8s - %(process)8d - %(threadName)s - %(name)s: %(message)s"
)
_VERBOSE: Final = re.compile(
    r"Triton Inference Server is running with enabled verbose logs.*It may affect inference performance."
)


def find_free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def get_current_container_version() -> str | None:
    """Version of NVIDIA's container that this process runs in, such as "24.10"; None outside of one."""
    version = (
        os.environ.get("NVIDIA_PYTORCH_VERSION")
        or os.environ.get("NVIDIA_TENSORFLOW_VERSION")
        or os.environ.get("NVIDIA_TRITON_SERVER_VERSION")
    )
    return version.partition("-")[0] if version else None


def search_warning_on_too_verbose_log_level(logs: str) -> re.Match[str] | None:
    """The warning about verbose logs of the server, if it is there."""
    return _VERBOSE.search(logs)
