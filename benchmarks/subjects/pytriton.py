# SPDX-License-Identifier: Apache-2.0
"""This package."""

from __future__ import annotations

from pathlib import Path

from benchmarks.subjects.subject import Endpoints, Launch, Subject, installed_versions
from benchmarks.unavailable import Unavailable
from benchmarks.workbench import HERE

__all__ = ["PyTriton"]


class PyTriton(Subject):
    """The package under test, as installed in the interpreter that was given."""

    name = "pytriton"
    title = "PyTriton (this package)"
    counts_copies = True
    import_statement = "import pytriton.triton"

    @property
    def interpreter(self) -> Path | None:
        """The Python that the app runs on."""
        return self.bench.own_python

    def prepare(self) -> None:
        """Check that the package is installed."""
        self.versions = installed_versions(self.bench.own_python, "pytriton", "numpy")
        if "pytriton" not in self.versions:
            raise Unavailable(f"the package is not installed in {self.bench.own_python}: pip install .")

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Return the app's command."""
        return Launch(
            [
                str(self.interpreter),
                str(HERE / "servers" / "serve_pytriton.py"),
                str(endpoints.http),
                str(endpoints.grpc),
                str(endpoints.metrics),
                *models,
            ],
            {"PYTRITON_HOME": str(directory)},
            stops_by="stdin",
        )
