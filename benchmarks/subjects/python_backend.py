# SPDX-License-Identifier: Apache-2.0
"""What a user of NVIDIA's container would take: the same function in a `model.py`."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from benchmarks.subjects.subject import installed_versions
from benchmarks.subjects.triton_repository import TritonRepository
from benchmarks.unavailable import Unavailable
from benchmarks.workbench import HERE

__all__ = ["PythonBackend"]


class PythonBackend(TritonRepository):
    """The Python backend of the pinned wheel; its stub embeds the reference interpreter."""

    heartbeat_s = 0.7
    name = "python_backend"
    title = "Triton's Python backend"
    backend = "python"

    @property
    def interpreter(self) -> Path | None:
        """The Python that the stub embeds."""
        return self.bench.environment(self.name)

    @property
    def backend_directory(self) -> Path:
        """The wheel's own: its libraries are found relative to it."""
        return self._distribution() / "backends"

    def prepare(self) -> None:
        """Put the stub of the interpreter's version beside the backend, where the backend looks for it."""
        super().prepare()
        python = self.bench.environment(self.name)
        self.versions |= installed_versions(python, "numpy")
        stub = (
            self._distribution()
            / "python_backend_stubs"
            / self.bench.reference.version
            / "triton_python_backend_stub"
        )
        if not stub.is_file():
            raise Unavailable(f"the wheel has no stub for Python {self.bench.reference.version}")
        target = self.backend_directory / "python" / stub.name
        if not target.is_file() or not filecmp.cmp(stub, target, shallow=False):  # it may be running
            shutil.copyfile(stub, target)
        target.chmod(0o755)

    def write_model(self, version: Path) -> None:
        """Copy the model's code."""
        shutil.copyfile(HERE / "servers" / "python_backend_model.py", version / "model.py")

    def environment(self) -> dict[str, str]:
        """Put the environment first: the embedded interpreter finds its home by looking for `python3`."""
        binaries = self.bench.environment(self.name).parent
        return {"PATH": f"{binaries}:{os.environ['PATH']}"}

    def _distribution(self) -> Path:
        return self.bench.server_files / "pytriton" / "tritonserver"
