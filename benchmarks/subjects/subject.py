# SPDX-License-Identifier: Apache-2.0
"""What is measured: a server in processes of its own that answers with its input."""

from __future__ import annotations

import json
import signal
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.unavailable import Unavailable
from benchmarks.workbench import Workbench

__all__ = ["VALUES", "Endpoints", "Launch", "Subject", "installed_versions"]

VALUES = [1.0, 2.5, -3.0, 4.25]  # exact in FP32 and in JSON


@dataclass(frozen=True)
class Endpoints:
    """The loopback ports of one server."""

    http: int
    grpc: int
    metrics: int


@dataclass(frozen=True)
class Launch:
    """How to start one server, and how to ask it to stop."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stops_by: Literal["signal", "stdin"] = "signal"
    stop_signal: signal.Signals = signal.SIGTERM


class Subject(ABC):
    """One kind of server."""

    name: str
    title: str
    speaks_v2: bool = True  # gRPC, statistics and perf_analyzer come with it
    counts_copies: bool = False
    import_statement: str | None = None
    infer_path: str = "/v2/models/identity/infer"
    heartbeat_s: float = 0.0
    """How long its other processes need, after a pause, to tell the server that they live."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.versions: dict[str, str] = {}

    @property
    def interpreter(self) -> Path | None:
        """The Python that this server runs on, if any; known once prepared."""
        return None

    @abstractmethod
    def prepare(self) -> None:
        """Fetch and build what the server needs; raise Unavailable where this cannot be done."""

    @abstractmethod
    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Return how to start one server for `models` with `directory` for its files."""

    def ready_paths(self, models: tuple[str, ...]) -> list[str]:
        """Return the paths that answer 200 once `models` are ready."""
        return ["/v2/health/ready", *(f"/v2/models/{model}/ready" for model in models)]

    def request_body(self) -> bytes:
        """Return the JSON request of the small load: 4 floats."""
        tensor = {"name": "INPUT_1", "shape": [1, len(VALUES)], "datatype": "FP32", "data": VALUES}
        return json.dumps({"inputs": [tensor]}).encode()

    def answers_with_input(self, answer: Any) -> bool:
        """Say whether the answer to `request_body` holds what was sent."""
        (output,) = answer["outputs"]
        return bool(
            output["name"] == "OUTPUT_1" and output["shape"] == [1, len(VALUES)] and output["data"] == VALUES
        )


def installed_versions(python: Path, *projects: str) -> dict[str, str]:
    """Return the interpreter's version and those of the projects that are installed in it."""
    script = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        "names = [n for n in sys.argv[1:] if n in found]\n"
        "print(json.dumps({'python': platform.python_version(), **{n: found[n] for n in names}}))"
    )
    try:
        result = subprocess.run(
            [str(python), "-c", script, *projects], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{python} does not run: {error}") from error
    versions: dict[str, str] = json.loads(result.stdout)
    return versions
