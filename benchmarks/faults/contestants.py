# SPDX-License-Identifier: Apache-2.0
"""Who is given the faults: the subjects of the benchmarks, with models that can fail."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.faults.notes import NOTES
from benchmarks.subjects import Endpoints, Launch, Subject
from benchmarks.subjects.litserve import LitServe
from benchmarks.subjects.python_backend import PythonBackend
from benchmarks.subjects.pytriton import PyTriton
from benchmarks.subjects.pytriton_0_7 import PyTriton07
from benchmarks.workbench import HERE

__all__ = ["CONTESTANTS", "body", "is_answer", "path", "single_error"]

_SERVERS: Final = HERE / "servers"
_CONFIG: Final = """\
name: "{name}"
backend: "python"
max_batch_size: {rows}
input [ {{ name: "INPUT_1" data_type: TYPE_FP32 dims: [ -1 ] }} ]
output [ {{ name: "OUTPUT_1" data_type: TYPE_FP32 dims: [ -1 ] }} ]
instance_group [ {{ count: {count} kind: KIND_CPU }} ]
{batching}
"""
_PATIENT: Final = "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 300000 }"


class OursWithFaults(PyTriton):
    """This package; the model that is asked all the time has two worker processes."""

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Return the app's command."""
        return _application(super().launch(endpoints, directory, ()), endpoints, self.interpreter, directory)


class PyTriton07WithFaults(PyTriton07):
    """PyTriton 0.7.0; the model has two functions, of which each has a thread of the application."""

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Return the app's command."""
        return _application(super().launch(endpoints, directory, ()), endpoints, self.interpreter, directory)


class PythonBackendWithFaults(PythonBackend):
    """Triton's Python backend; the model has two instances."""

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Write the repository and return the server's command."""
        launch = super().launch(endpoints, directory, ())
        for name, rows, count, batching in (
            ("identity", 128, 2, "dynamic_batching { }"),
            ("faulty", 4, 1, _PATIENT),
            ("slow", 1, 1, ""),
        ):
            version = directory / "repository" / name / "1"
            version.mkdir(parents=True)
            config = _CONFIG.format(name=name, rows=rows, count=count, batching=batching)
            (version.parent / "config.pbtxt").write_text(config, encoding="utf-8")
            shutil.copyfile(_SERVERS / "faulty_python_backend.py", version / "model.py")
            shutil.copyfile(_SERVERS / "note.py", version / "note.py")
        return _with_notes(launch, directory)


class LitServeWithFaults(LitServe):
    """LitServe; the API that is asked all the time has two workers."""

    infer_path = "/identity"

    def launch(self, endpoints: Endpoints, directory: Path, models: tuple[str, ...]) -> Launch:
        """Return the server's command."""
        launch = super().launch(endpoints, directory, models)
        command = [str(self.interpreter), str(_SERVERS / "faulty_litserve.py"), str(endpoints.http)]
        return _with_notes(replace(launch, command=[*command, *self.arguments]), directory)

    arguments: tuple[str, ...] = ()

    @property
    def interpreter(self) -> Path | None:
        """The Python that the server runs on."""
        return self.bench.environment("litserve")

    def prepare(self) -> None:
        """Build the environment, which is the same for both."""
        named, self.name = self.name, "litserve"
        super().prepare()
        self.name = named


class RestartingLitServe(LitServeWithFaults):
    """LitServe that replaces its workers."""

    name = "litserve_restarts"
    title = "LitServe, `restart_workers=True`"
    arguments = ("restart",)


CONTESTANTS: Final[tuple[type[Subject], ...]] = (
    OursWithFaults,
    PyTriton07WithFaults,
    PythonBackendWithFaults,
    LitServeWithFaults,
    RestartingLitServe,
)


def path(subject: Subject, model: str) -> str:
    """Where the model is asked."""
    return f"/v2/models/{model}/infer" if subject.speaks_v2 else f"/{model}"


def body(subject: Subject, value: float) -> bytes:
    """A request whose four numbers are all this one."""
    values = [value] * 4
    if subject.speaks_v2:
        tensor = {"name": "INPUT_1", "shape": [1, 4], "datatype": "FP32", "data": values}
        return json.dumps({"inputs": [tensor]}).encode()
    return json.dumps({"INPUT_1": [values]}).encode()


def is_answer(subject: Subject, answer: Any, value: float) -> bool:
    """Whether the answer's four numbers are all this one."""
    try:
        data = answer["outputs"][0]["data"] if subject.speaks_v2 else answer["OUTPUT_1"][0]
    except (KeyError, IndexError, TypeError):
        return False
    return bool(data == [value] * 4)


def single_error(subject: Subject) -> str | None:
    """How a function fails one request of a batch and not the others, if it can."""
    if isinstance(subject, OursWithFaults):
        return "an exception in the list of results"
    if isinstance(subject, PythonBackendWithFaults):
        return "`InferenceResponse(error=...)`"
    return None


def _application(launch: Launch, endpoints: Endpoints, interpreter: Path | None, directory: Path) -> Launch:
    ports = (endpoints.http, endpoints.grpc, endpoints.metrics)
    command = [str(interpreter), str(_SERVERS / "faulty_pytriton.py"), *map(str, ports)]
    return _with_notes(
        replace(launch, command=command, stops_by="signal", stop_signal=signal.SIGINT), directory
    )


def _with_notes(launch: Launch, directory: Path) -> Launch:
    temporary = directory / "tmp"
    temporary.mkdir(exist_ok=True)
    added = {
        NOTES: str(directory / "notes"),
        "TMPDIR": str(temporary),
    }
    return replace(launch, environment=launch.environment | added)
