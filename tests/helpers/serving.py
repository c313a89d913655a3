# SPDX-License-Identifier: Apache-2.0
"""A function behind real workers and the fake backend."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pytriton.batching.context import current_model
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.worker.pool import ThreadWorkers, WorkerSpec
from tests.helpers.fake_backend import Answer, Array, FakeBackend, FakeRequest, Link

__all__ = ["FLOAT", "Served", "describe_model", "requests_of", "running_for", "serving"]

FLOAT = Tensor((-1,), np.float32)


def describe_model(
    inputs: Sequence[Tensor] = (FLOAT,),
    outputs: Sequence[Tensor] = (FLOAT,),
    *,
    batching: bool = True,
    decoupled: bool = False,
) -> TritonModelConfig:
    """A model named "m" with tensors INPUT_1, ... and OUTPUT_1, ... unless they have names."""
    config = ModelConfig(batching=batching, max_batch_size=128, decoupled=decoupled)
    return TritonModelConfig.create("m", inputs, outputs, config)


@contextmanager
def running_for(model: TritonModelConfig) -> Iterator[None]:
    """Call functions in the block as a worker of the model does."""
    token = current_model.set(model)
    try:
        yield
    finally:
        current_model.reset(token)


def requests_of(*arrays: Array) -> list[FakeRequest]:
    """One request for each array, as INPUT_1."""
    return [FakeRequest({"INPUT_1": array}) for array in arrays]


class Served:
    """A model that is being served."""

    def __init__(self, model: TritonModelConfig, backend: FakeBackend, workers: ThreadWorkers) -> None:
        self.model = model
        self.backend = backend
        self.workers = workers
        self.link: Link = backend.attach()

    def infer(self, *requests: FakeRequest, **options: Any) -> Answer:
        """Answer of one batch."""
        return self.link.infer(requests, self._inputs, **self._options(options))

    def execute(self, *requests: FakeRequest, **options: Any) -> int:
        """Send one batch; returns its slot."""
        return self.link.execute(requests, self._inputs, **self._options(options))

    def echo(self, *arrays: Array, **options: Any) -> Answer:
        """Answer to one request for each array."""
        return self.infer(*requests_of(*arrays), **options)

    @property
    def _inputs(self) -> list[str]:
        return [spec.name for spec in self.model.inputs or ()]

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"outputs": len(self.model.outputs or ()), "batching": self.model.batching, **options}


@contextmanager
def serving(
    function: Callable[..., Any],
    inputs: Sequence[Tensor] = (FLOAT,),
    outputs: Sequence[Tensor] = (FLOAT,),
    *,
    batching: bool = True,
    strict: bool = False,
    decoupled: bool = False,
    batches_in_flight: int = 1,
    cancel_coroutines: bool = False,
    on_failure: Callable[[BaseException], object] | None = None,
    **backend_options: Any,
) -> Iterator[Served]:
    """Serve a function by one worker; its thread must end in time."""
    model = describe_model(inputs, outputs, batching=batching, decoupled=decoupled)
    with tempfile.TemporaryDirectory() as directory:
        backend = FakeBackend(Path(directory, "s"), **backend_options)
        spec = WorkerSpec(model, str(backend.path), strict, batches_in_flight, cancel_coroutines)
        workers = ThreadWorkers(spec, [function], on_failure)
        workers.start()
        try:
            yield Served(model, backend, workers)
        finally:
            stopped = workers.stop(20.0)
            backend.close()
            assert stopped
