# SPDX-License-Identifier: Apache-2.0
"""Small helpers for programs that test what they serve."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Final

from pytriton.check.long_test import DEFAULT_LOG_FORMAT, TestMonitoringContext
from pytriton.check.monitoring import ProcessMonitoring, ProcessMonitoringThread
from pytriton.check.script import ScriptThread

__all__ = [
    "DEFAULT_LOG_FORMAT",
    "ProcessMonitoring",
    "ProcessMonitoringThread",
    "ScriptThread",
    "TestMonitoringContext",
    "find_free_port",
    "get_current_container_version",
    "search_warning_on_too_verbose_log_level",
    "verify_docker_image_in_readme_same_as_tested",
]

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


def verify_docker_image_in_readme_same_as_tested(
    readme_path: str | os.PathLike[str], image_name_with_version: str
) -> None:
    """Raise AssertionError if a text names another version of a container image than this one.

    Args:
        readme_path: File with the text.
        image_name_with_version: Such as "nvcr.io/nvidia/pytorch:24.10-py3".
    """
    name = image_name_with_version.rpartition(":")[0].rpartition("/")[2]
    text = Path(readme_path).read_text(encoding="utf-8")
    for found in re.findall(rf"[\w/.:-]+/{re.escape(name)}:[\w.-]+", text):
        if found != image_name_with_version:
            raise AssertionError(f"{readme_path} has {found}, expected {image_name_with_version}")
