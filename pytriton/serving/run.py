# SPDX-License-Identifier: Apache-2.0
"""What a server is to the object that serves functions with it."""

from __future__ import annotations

import abc
import contextlib
import functools
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Final

from pytriton.constants import MODEL_CONFIG_URL, MODEL_INFER_URL, MODEL_READY_URL
from pytriton.exceptions import PyTritonModelLoadError, PyTritonRuntimeError
from pytriton.limits import Limits
from pytriton.server.ports import Endpoint
from pytriton.server.repository import ATTACH_TIMEOUT_S, ModelRepository
from pytriton.server.workspace import Workspace
from pytriton.serving.binding import Binding
from pytriton.serving.flag import Flag

__all__ = ["LEAST_WAIT_S", "Run", "stop_workers", "until"]

LOGGER = logging.getLogger("pytriton.triton")

_STOP_WORKERS_TIMEOUT_S: Final = 2.0
LEAST_WAIT_S: Final = 0.1
"""What takes no time at all is waited for even when there is none left."""


class Run(abc.ABC):
    """A server from when functions can be served with it until they no longer are."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        workspace: Workspace,
        attach_timeout_s: float = ATTACH_TIMEOUT_S,
        limits: Limits | None = None,
    ) -> None:
        self.endpoints = list(endpoints)
        self.repository = ModelRepository(workspace.model_store_path, attach_timeout_s, limits)
        self._workspace = workspace
        self.ended = Flag()
        """Set when the server or a model has ended, or is about to be stopped."""
        self.drain_timeout_s = (limits or Limits()).drain_s()
        """How long requests in flight are waited for."""
        self.bindings: list[Binding] = []
        """The models that are served."""
        self.leaving: list[Binding] = []
        """Models that take no more requests, but have some still."""

    @abc.abstractmethod
    def server_failure(self) -> PyTritonRuntimeError | None:
        """Why the server does not run, if it does not."""

    @abc.abstractmethod
    def load(self, bindings: Sequence[Binding]) -> None:
        """Serve models besides those that are served; if one cannot be, none of them is."""

    @abc.abstractmethod
    def replace(self, old: Binding, new: Binding) -> None:
        """Serve a model with another function; if that cannot be, the old one still serves it.

        The old function then has the requests that it has, until `release`.
        """

    @abc.abstractmethod
    def unload(self, binding: Binding) -> None:
        """Let a model take no more requests; it has those that it has until `release`."""

    @abc.abstractmethod
    def release(self, binding: Binding) -> None:
        """Wait until a model that was replaced or unloaded has answered its requests, then stop its workers.

        What has no answer within the limit fails, and the log says so. Nothing else waits for it.
        """

    @abc.abstractmethod
    def set_instances(self, binding: Binding) -> None:
        """Let the server pass on as many batches side by side as a model has workers."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Answer what is in flight, then let go of the server and of the workers."""

    def is_alive(self) -> bool:
        """Whether the server and all models' workers run."""
        return self.server_failure() is None and all(binding.is_alive() for binding in list(self.bindings))

    def failure(self) -> PyTritonRuntimeError | None:
        """Why it is not alive, if it is not."""
        if (failure := self.server_failure()) is not None:
            return failure
        for binding in list(self.bindings):
            if not binding.is_alive():
                cause = binding.failure
                failure = PyTritonRuntimeError(
                    f'The workers of model "{binding.name}" ended: {str(cause) or repr(cause)}'
                )
                failure.__cause__ = cause
                return failure
        return None

    def log_models(self, bindings: Sequence[Binding]) -> None:
        """Say where models are served."""
        for endpoint in self.endpoints:
            LOGGER.info("%s endpoint: %s", endpoint.name, endpoint.local)
            for binding in bindings if endpoint.name == "HTTP" else ():
                infer, ready, config = (
                    f"http://{endpoint.local}{path.format(model_name=binding.name)}"
                    for path in (MODEL_INFER_URL, MODEL_READY_URL, MODEL_CONFIG_URL)
                )
                LOGGER.info('Model "%s" version %d: POST %s', *binding.label, infer)
                LOGGER.info("  status: GET %s, configuration: GET %s", ready, config)

    def start_workers(self, binding: Binding, trouble: Future[str]) -> None:
        """Start a model's workers, and wait until they are warm; `trouble` gets the error if one ends."""
        socket_path = self._workspace.new_socket_path()
        binding.start_workers(socket_path, functools.partial(self._worker_failed, binding, trouble))

    def write_files(self, binding: Binding, *, resumed: bool = False) -> None:
        """Write what the server shall know of a model whose workers were started."""
        assert binding.socket_path is not None
        self.repository.add(binding.model, binding.socket_path, binding.worker_count, resumed=resumed)

    def take_place(self, old: Binding, new: Binding, trouble: Future[str]) -> None:
        """Note that a model has taken the place of another."""
        self.bindings[self.bindings.index(old)] = new
        self.leaving.append(old)
        if trouble.done():
            self.ended.set()

    def _worker_failed(self, binding: Binding, trouble: Future[str], error: BaseException) -> None:
        message = f'A worker of model "{binding.name}" has ended: {str(error) or repr(error)}'
        failure = PyTritonModelLoadError(message)
        failure.__cause__ = error
        with contextlib.suppress(InvalidStateError):  # another one was first
            trouble.set_exception(failure)
        if binding in self.bindings:
            self.ended.set()

    def versions_besides(self, binding: Binding) -> list[Binding]:
        """The other versions of a model that are served."""
        return [other for other in self.bindings if other.name == binding.name and other is not binding]


def stop_workers(bindings: Sequence[Binding], timeout_s: float = _STOP_WORKERS_TIMEOUT_S) -> None:
    """Stop the workers of models, all within the time."""
    deadline = time.monotonic() + timeout_s
    for binding in bindings:
        binding.stop_workers(until(deadline))


def until(deadline: float) -> float:
    """Seconds from now to then, a few more at the end."""
    return max(LEAST_WAIT_S, deadline - time.monotonic())
