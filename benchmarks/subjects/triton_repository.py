# SPDX-License-Identifier: Apache-2.0
"""The server of the pinned wheel on a model repository: base of the no-op and the Python backend."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.cache import SERVER_WHEEL
from benchmarks.subjects.subject import Endpoints, Launch, Subject

__all__ = ["TritonRepository"]

_CONFIG = """\
name: "{name}"
backend: "{backend}"
max_batch_size: 128
input [ {{ name: "INPUT_1" data_type: {datatype} dims: [ -1 ] }} ]
output [ {{ name: "OUTPUT_1" data_type: {datatype} dims: [ -1 ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
dynamic_batching {{ }}
"""
_DATATYPES = {"identity": "TYPE_FP32", "strings": "TYPE_STRING"}


class TritonRepository(Subject):
    """A server that loads the two models from disk, with no app process behind it."""

    backend: str

    @property
    def backend_directory(self) -> Path:
        """The directory with one directory per backend."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Unpack the server."""
        self._server().chmod(0o755)
        self.versions = {"server": f"{SERVER_WHEEL.project} {SERVER_WHEEL.version}"}

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Write the repository and return the server's command."""
        repository = directory / "repository"
        shutil.rmtree(repository, ignore_errors=True)
        for name in models:
            version = repository / name / "1"
            version.mkdir(parents=True)
            config = _CONFIG.format(name=name, backend=self.backend, datatype=_DATATYPES[name])
            (repository / name / "config.pbtxt").write_text(config, encoding="utf-8")
            self.write_model(version)
        return Launch(
            [
                str(self._server()),
                f"--model-repository={repository}",
                f"--backend-directory={self.backend_directory}",
                "--http-address=127.0.0.1",
                f"--http-port={endpoints.http}",
                "--grpc-address=127.0.0.1",
                f"--grpc-port={endpoints.grpc}",
                "--metrics-address=127.0.0.1",
                f"--metrics-port={endpoints.metrics}",
            ],
            self.environment(),
        )

    def write_model(self, version: Path) -> None:
        """Write what belongs into one model version's directory."""

    def environment(self) -> dict[str, str]:
        """Return what the server needs beyond this process's environment."""
        return {}

    def _server(self) -> Path:
        return self.bench.server_files / "pytriton" / "tritonserver" / "bin" / "tritonserver"
