# SPDX-License-Identifier: Apache-2.0
"""One bound model: what it is, the functions that serve it, and its workers while it is served."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence, ValuesView
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytriton.exceptions import PyTritonInvalidOperationError, PyTritonValidationError
from pytriton.model_config import DeviceKind, ModelConfig, Tensor, rules
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.serving.functions import InferFunction, ProcessFunction, ThreadFunctions, Workers
from pytriton.supervision.pool import ProcessWorkers
from pytriton.worker.loop import WorkerSpec
from pytriton.worker.pool import ThreadWorkers
from pytriton.workers import WorkerProcesses, WorkerStatus, check_count

__all__ = ["DECOUPLED_BATCHES_IN_FLIGHT", "Binding", "InferFunction", "bind_model"]

DECOUPLED_BATCHES_IN_FLIGHT: Final = 64
"""Streams of a worker side by side, unless the model says otherwise."""


class Binding:
    """A version of a model, its functions, and the workers that serve them while it is served."""

    def __init__(
        self,
        model: TritonModelConfig,
        functions: ThreadFunctions | ProcessFunction,
        *,
        strict: bool,
        config: ModelConfig | None = None,
    ) -> None:
        self.model = model
        self._functions = functions
        self._strict = strict
        config = config or ModelConfig()
        default = DECOUPLED_BATCHES_IN_FLIGHT if model.decoupled else 1
        self._batches_in_flight = config.batches_in_flight or default
        self._cancel_coroutines = config.cancel_coroutines
        self._warmups = copy.deepcopy(config.model_warmup or [])
        self._workers: Workers | None = None
        self._trace_config: Sequence[str] | None = None
        self.socket_path: Path | None = None
        """Where the workers meet the server, once they were started."""

    def trace(self, trace_config: Sequence[str] | None) -> None:
        """Trace the functions, if this process has a tracer or the server's settings ask for one."""
        self._trace_config = trace_config
        self._functions.trace(trace_config)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.model_name

    @property
    def key(self) -> tuple[str, int]:
        """What no two bindings have in common; file systems may not tell upper from lower case."""
        return self.name.lower(), self.model.model_version

    @property
    def label(self) -> tuple[str, int]:
        """Name and version, for messages."""
        return self.name, self.model.model_version

    @property
    def worker_count(self) -> int:
        """Workers that the server waits for when it loads the model."""
        return self._functions.awaited

    @property
    def processes(self) -> list[WorkerStatus]:
        """Its worker processes, if it has any."""
        workers = self._workers
        return workers.status() if isinstance(workers, ProcessWorkers) else []

    @property
    def failure(self) -> BaseException | None:
        """What ended the workers, if anything did."""
        return None if self._workers is None else self._workers.failure

    @property
    def functions(self) -> list[InferFunction]:
        """The functions that run in this process, one for each worker."""
        return self._functions.functions if isinstance(self._functions, ThreadFunctions) else []

    def local_functions(self) -> list[InferFunction]:
        """Functions that can be called here: those of workers in other processes are made anew."""
        return self.functions or self._functions.in_this_process()

    @property
    def is_for_processes(self) -> bool:
        """Whether worker processes run the function."""
        return isinstance(self._functions, ProcessFunction)

    def run_in_processes(self, make: Callable[..., InferFunction], workers: WorkerProcesses) -> None:
        """Let processes run what `make` makes in each, not the functions given; nothing must run yet."""
        self._functions = ProcessFunction(self.name, make, workers)
        self._functions.trace(self._trace_config)
        groups: dict[DeviceKind, int | None] = dict.fromkeys(self.model.instance_group, workers.total)
        self.model = replace(self.model, instance_group=groups)

    def worker_spec(self, socket_path: Path | str) -> WorkerSpec:
        """What a worker is told of the model, and where it meets the server."""
        return WorkerSpec(
            self.model,
            str(socket_path),
            self._strict,
            batches_in_flight=self._batches_in_flight,
            cancel_coroutines=self._cancel_coroutines,
            warmups=self._warmups,
        )

    def check_beside(self, other: Binding) -> None:
        """Refuse what cannot be a version of the same model as another one."""
        ours, theirs = _shared_config(self.model), _shared_config(other.model)
        if different := sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key)):
            raise PyTritonInvalidOperationError(
                f'model "{self.name}" version {self.model.model_version}: all versions of a model have one '
                f"configuration, but this one differs from version {other.model.model_version} in "
                f"{', '.join(different)}. Bind it with the same configuration, or under another name."
            )

    def is_alive(self) -> bool:
        """Whether the model's workers run."""
        return self._workers is not None and self._workers.is_alive()

    def is_calling(self) -> bool:
        """Whether a function of the model is what calls this: its request waits for it to return."""
        workers = self._workers
        return isinstance(workers, ThreadWorkers) and workers.has_this_thread()

    def start_workers(self, socket_path: Path, on_failure: Callable[[BaseException], object]) -> None:
        """Start the workers, and wait until they are warm; they attach once the server listens."""
        self.socket_path = socket_path
        self._workers = self._functions.make_workers(self.worker_spec(socket_path), on_failure)
        self._workers.start()
        self._workers.wait_warm()

    def scale(self, count: int, set_instances: Callable[[], object], timeout_s: float) -> None:
        """Serve the model by another number of processes.

        Args:
            count: How many.
            set_instances: Called when the server has to pass on more batches side by side than before.
            timeout_s: How long those that leave may take to answer what they hold.
        """
        check_count("The number of worker processes", count)
        functions, workers = self._functions, self._workers
        if not isinstance(functions, ProcessFunction):
            raise PyTritonInvalidOperationError(
                f'model "{self.name}" is served by threads, one for each function. To change their number '
                "bind it anew with replace=True, or bind it with workers=WorkerProcesses(...)."
            )
        with functions.scaling:
            more = count - functions.count
            if isinstance(workers, ProcessWorkers) and more > 0:
                workers.add(more)
            functions.count = count
            # Fewer workers need no fewer instances: the surplus waits for a worker, and to take one away the
            # server would wait until its batch is done.
            if count > max(number or 1 for number in self.model.instance_group.values()):
                groups: dict[DeviceKind, int | None] = dict.fromkeys(self.model.instance_group, count)
                self.model = replace(self.model, instance_group=groups)
                set_instances()
            if isinstance(workers, ProcessWorkers) and more < 0:
                workers.remove(-more, timeout_s)

    def stop_workers(self, timeout_s: float) -> None:
        """Stop the workers; one that is stuck in its function is left behind."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.stop(timeout_s)


def bind_model(
    model_name: str,
    infer_func: InferFunction | Sequence[InferFunction],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    model_version: int,
    config: ModelConfig | None,
    strict: bool,
    workers: WorkerProcesses | None = None,
) -> Binding:
    """Check what bind was given."""
    rules.check_model_name(model_name)
    functions: ThreadFunctions | ProcessFunction
    if workers is None:
        functions = ThreadFunctions(model_name, infer_func)
    else:
        functions = ProcessFunction(model_name, infer_func, workers)
    inputs, outputs = _listed(inputs), _listed(outputs)
    rules.check_tensors(model_name, "input", inputs)
    rules.check_tensors(model_name, "output", outputs)
    if config is not None and not isinstance(config, ModelConfig):
        raise PyTritonValidationError(f'model "{model_name}": config must be a ModelConfig, got {config!r}.')
    config = config or ModelConfig()
    model = TritonModelConfig.create(
        model_name,
        inputs,
        outputs,
        config,
        model_version=_number(model_version),
        instances=functions.count,
    )
    return Binding(model, functions, strict=strict, config=config)


def _listed(tensors: Any) -> Any:
    """The values of a dict, or what a generator gives, as a list; what is neither is told by the rules."""
    return list(tensors) if isinstance(tensors, (Iterator, ValuesView)) else tensors


def _number(version: Any) -> Any:
    """A version out of a file or a variable is text."""
    return int(version) if isinstance(version, str) and version.isdecimal() else version


def _shared_config(model: TritonModelConfig) -> dict[str, Any]:
    config = ModelConfigGenerator(model).get_config()
    config.pop("instance_group", None)  # as many as any version needs
    return config
