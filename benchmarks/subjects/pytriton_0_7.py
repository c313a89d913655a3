# SPDX-License-Identifier: Apache-2.0
"""The original."""

from __future__ import annotations

from pathlib import Path

from benchmarks.subjects.pytriton import PyTriton
from benchmarks.subjects.subject import installed_versions

__all__ = ["PyTriton07"]


class PyTriton07(PyTriton):
    """nvidia-pytriton 0.7.0 in an environment of its own, with the very script that serves ours."""

    heartbeat_s = 0.7
    name = "pytriton_0_7"
    title = "PyTriton 0.7.0"
    counts_copies = False

    @property
    def interpreter(self) -> Path | None:
        """The Python that the app runs on."""
        return self.bench.environment(self.name)

    def prepare(self) -> None:
        """Build the environment."""
        self.versions = installed_versions(self.bench.environment(self.name), "nvidia-pytriton", "numpy")
