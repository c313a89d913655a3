# SPDX-License-Identifier: Apache-2.0
"""What most people write first."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from benchmarks.subjects.subject import VALUES, Endpoints, Launch, Subject, installed_versions
from benchmarks.workbench import HERE

__all__ = ["FastAPI"]


class FastAPI(Subject):
    """FastAPI on one uvicorn process; JSON over HTTP is all it speaks."""

    name = "fastapi"
    title = "FastAPI + uvicorn"
    speaks_v2 = False
    infer_path = "/infer"
    script = "serve_fastapi.py"
    stop_signal = signal.SIGTERM
    packages: tuple[str, ...] = ("fastapi", "uvicorn", "uvloop", "httptools", "numpy")

    @property
    def interpreter(self) -> Path | None:
        """The Python that the server runs on."""
        return self.bench.environment(self.name)

    def prepare(self) -> None:
        """Build the environment."""
        self.versions = installed_versions(self.bench.environment(self.name), *self.packages)

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Return the server's command."""
        return Launch(
            [str(self.interpreter), str(HERE / "servers" / self.script), str(endpoints.http)],
            stop_signal=self.stop_signal,
        )

    def ready_paths(self, models: tuple[str, ...]) -> list[str]:
        """Return the path that answers 200 once the server is up."""
        return ["/health"]

    def request_body(self) -> bytes:
        """Return the JSON request of the small load: 4 floats."""
        return json.dumps({"INPUT_1": [VALUES]}).encode()

    def answers_with_input(self, answer: Any) -> bool:
        """Say whether the answer holds what was sent."""
        return bool(answer == {"OUTPUT_1": [VALUES]})
