# SPDX-License-Identifier: Apache-2.0
"""The functions of a model, and what runs them: threads of this process, or processes of their own."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pytriton.exceptions import PyTritonValidationError
from pytriton.supervision.payload import makes_function, pack_job
from pytriton.supervision.pool import ProcessWorkers
from pytriton.telemetry.functions import function_tracing
from pytriton.telemetry.tracing import is_opentelemetry
from pytriton.worker.factory import call_factory
from pytriton.worker.loop import WorkerSpec
from pytriton.worker.pool import ThreadWorkers
from pytriton.workers import WorkerProcesses

__all__ = ["InferFunction", "ProcessFunction", "ThreadFunctions", "Workers"]

InferFunction = Callable[..., Any]


class Workers(Protocol):
    """What serves a model."""

    @property
    def failure(self) -> BaseException | None:
        """What ended them, if anything did."""

    def start(self) -> None:
        """Start them."""

    def wait_warm(self) -> None:
        """Wait until they are ready; raises what failed."""

    def stop(self, timeout_s: float) -> bool:
        """End them; false if one did not end in time."""

    def is_alive(self) -> bool:
        """Whether they serve."""


class ThreadFunctions:
    """Functions that threads of this process run, one each."""

    def __init__(self, model_name: str, infer_func: InferFunction | Sequence[InferFunction]) -> None:
        self.functions = _checked(infer_func, model_name)

    @property
    def count(self) -> int:
        """Number of workers."""
        return len(self.functions)

    @property
    def awaited(self) -> int:
        """Workers that the server waits for when it loads the model."""
        return len(self.functions)

    def in_this_process(self) -> list[InferFunction]:
        """The functions, one for each worker."""
        return list(self.functions)

    def trace(self, trace_config: Sequence[str] | None) -> None:
        """Trace the functions, if this process has a tracer or the server's settings ask for one."""
        tracing = function_tracing(trace_config)
        if tracing is not None:
            self.functions = [tracing.trace(function) for function in self.functions]

    def make_workers(self, spec: WorkerSpec, on_failure: Callable[[BaseException], object]) -> Workers:
        """Workers for them, not started yet."""
        return ThreadWorkers(spec, self.functions, on_failure)


class ProcessFunction:
    """A function that processes run, or make each for itself."""

    awaited = 1
    """Workers that the server waits for when it loads the model: all are ready by then, or being replaced."""

    def __init__(self, model_name: str, infer_func: Any, settings: Any) -> None:
        if not isinstance(settings, WorkerProcesses):
            raise PyTritonValidationError(
                f'model "{model_name}": workers must be WorkerProcesses(...), got {settings!r}.'
            )
        if not callable(infer_func):
            raise PyTritonValidationError(
                f'model "{model_name}": with workers=WorkerProcesses(...) infer_func must be one function, '
                f"class or factory, which every process runs; got {infer_func!r}."
            )
        self._model_name = model_name
        self._infer_func = infer_func
        self._settings = settings
        self._job = pack_job(model_name, infer_func, settings)
        self.count = settings.total
        """Number of workers."""
        self.scaling = threading.Lock()
        """Held by whoever changes the number."""

    def in_this_process(self) -> list[InferFunction]:
        """One function like those of the processes, made here: for tests without a server."""
        settings = self._settings
        if not makes_function(self._infer_func, settings):
            return [self._infer_func]
        return [call_factory(self._infer_func, settings.args, settings.kwargs, settings.device(0))]

    def trace(self, trace_config: Sequence[str] | None) -> None:
        """Trace the functions, if the server's settings ask for it; each process has a tracer of its own."""
        if is_opentelemetry(trace_config):
            self._job = pack_job(self._model_name, self._infer_func, self._settings, trace_config)

    def make_workers(self, spec: WorkerSpec, on_failure: Callable[[BaseException], object]) -> Workers:
        """Processes for it, not started yet."""
        return ProcessWorkers(spec, self._job, self._settings, self.count, on_failure)


def _checked(infer_func: Any, model_name: str) -> list[InferFunction]:
    if inspect.isclass(infer_func):
        raise PyTritonValidationError(
            f'model "{model_name}": infer_func is the class {infer_func.__qualname__}; bind an object of it, '
            "or let processes make one each: workers=WorkerProcesses(...)."
        )
    if callable(infer_func):
        return [infer_func]
    if not isinstance(infer_func, Sequence) or isinstance(infer_func, (str, bytes)):
        raise PyTritonValidationError(
            f'model "{model_name}": infer_func must be a function or a sequence of them, got {infer_func!r}.'
        )
    if not infer_func:
        raise PyTritonValidationError(
            f'model "{model_name}": infer_func is empty; give at least one function.'
        )
    for position, function in enumerate(infer_func):
        if not callable(function):
            raise PyTritonValidationError(
                f'model "{model_name}": infer_func[{position}] must be a function, got {function!r}.'
            )
    return list(infer_func)
