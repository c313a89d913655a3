# SPDX-License-Identifier: Apache-2.0
"""The limit: Triton with a C++ backend that only copies."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.subjects.triton_repository import TritonRepository
from benchmarks.unavailable import Unavailable
from benchmarks.workbench import HERE

__all__ = ["Noop"]


class Noop(TritonRepository):
    """`noop_backend/`, built on the first run."""

    name = "noop"
    title = "C++ no-op backend (the limit)"
    backend = "noop"

    @property
    def backend_directory(self) -> Path:
        """The directory with one directory per backend."""
        return self.bench.cache.root / "noop_backend" / "backends"

    def prepare(self) -> None:
        """Build the backend; CMake does nothing where nothing changed."""
        super().prepare()
        if shutil.which("cmake") is None:
            raise Unavailable("cmake is not installed")
        build = self.bench.cache.directory("noop_backend/build")
        for command in (
            ["cmake", "-S", str(HERE / "noop_backend"), "-B", str(build)],
            ["cmake", "--build", str(build)],
        ):
            result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if result.returncode != 0:
                raise Unavailable(
                    f"{' '.join(command)} failed: {(result.stderr or result.stdout).strip()[-2000:]}"
                )
        target = self.bench.cache.directory("noop_backend/backends/noop") / "libtriton_noop.so"
        shutil.copyfile(build / "libtriton_noop.so", target)
