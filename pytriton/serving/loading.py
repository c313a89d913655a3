# SPDX-License-Identifier: Apache-2.0
"""Models on their way into a server that runs, and the way back if it does not take them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Sequence
from concurrent import futures
from concurrent.futures import Future
from typing import Final

from pytriton.exceptions import PyTritonModelLoadError, PyTritonRuntimeError, PyTritonServerError
from pytriton.server.control import ControlChannel, Op
from pytriton.server.process import ServerProcess
from pytriton.server.repository import ATTACH_TIMEOUT_S, ModelRepository
from pytriton.serving.binding import Binding
from pytriton.serving.run import stop_workers

__all__ = ["LOAD_TIMEOUT_S", "UNDO_TIMEOUT_S", "Loading"]

LOAD_TIMEOUT_S: Final = ATTACH_TIMEOUT_S + 90.0
UNDO_TIMEOUT_S: Final = 5.0

_REFUSED_CONFIG: Final = "failed to poll"


class Loading:
    """Loads models of one repository; what the server has begun to load it may have to let go of again."""

    def __init__(self, process: ServerProcess, repository: ModelRepository, trouble: Future[str]) -> None:
        """Load into a server.

        Args:
            process: The server.
            repository: Where it finds the models.
            trouble: Fails when a worker of one of them ends.
        """
        self._process = process
        self._repository = repository
        self._trouble = trouble
        self._replies: dict[str, Future[str]] = {}

    def load(
        self, bindings: Sequence[Binding], write_files: Callable[[Binding], object], served: Collection[str]
    ) -> None:
        """Load models, or versions of them; if one cannot be, none of them is, and their workers end.

        Args:
            bindings: The models; their workers run.
            write_files: Writes what the server has to know of one of them.
            served: Names of the models that it serves.
        """
        names = sorted({binding.name for binding in bindings})
        saved = [self._repository.save(name) for name in names]
        try:
            for binding in bindings:
                write_files(binding)
            for name in names:
                self.begin(name)
            for name in names:
                self.wait(name)
        except BaseException:
            stop_workers(bindings)
            for name in self._replies:
                versions = [binding.model.model_version for binding in bindings if binding.name == name]
                with contextlib.suppress(PyTritonRuntimeError):
                    if name in served:
                        self._take_back_versions(name, versions)
                    else:
                        self._take_back_model(name, versions)
            for model in saved:
                self._repository.restore(model)
            for name in self._replies.keys() & set(served):
                with contextlib.suppress(PyTritonRuntimeError):
                    self._repository.touch(name)
                    self._process.control.load(name, UNDO_TIMEOUT_S)
            raise

    def begin(self, name: str) -> None:
        """Ask the server to load what its repository has of a model."""
        self._replies[name] = self._process.control.submit(Op.LOAD, name)

    def wait(self, name: str) -> None:
        """Wait until a model is loaded; raises if it cannot be."""
        reply = self._replies[name]
        futures.wait((reply, self._trouble), LOAD_TIMEOUT_S, return_when=futures.FIRST_COMPLETED)
        if self._trouble.done() and not reply.done():
            self._trouble.result()
        if not reply.done():
            raise PyTritonServerError(
                f'The server was still loading model "{name}" after {LOAD_TIMEOUT_S:g} s.'
            )
        try:
            reply.result()
        except PyTritonModelLoadError as error:
            # Why it refuses a configuration the server says in its log alone.
            why = self._process.complaint(f"'{name}'") if _REFUSED_CONFIG in error.message else ""
            if not why:
                raise
            raise PyTritonModelLoadError(f"{error.message}: {why}", error.code) from None

    def has_succeeded(self, name: str) -> bool:
        """Whether a load has succeeded after all; it is given up if it still runs."""
        reply = self._replies.get(name)
        if reply is None:
            return False
        if not reply.done():
            futures.wait((reply, self._process.control.submit(Op.GIVE_UP, name)), UNDO_TIMEOUT_S)
        return reply.done() and reply.exception() is None

    def _take_back_versions(self, name: str, versions: Sequence[int]) -> None:
        if not self.has_succeeded(name):
            self._repository.add_refused(name, versions)
            self._process.control.load(name, UNDO_TIMEOUT_S)

    def _take_back_model(self, name: str, versions: Sequence[int]) -> None:
        reply, control = self._replies[name], self._process.control
        if not reply.done():
            # Makes it wait no longer for its workers.
            futures.wait((reply, control.submit(Op.UNLOAD, name)), UNDO_TIMEOUT_S)
        if not reply.done():
            reply.add_done_callback(functools.partial(_unload_late, control, name))
            return
        if reply.exception() is not None:
            # As long as the last load of a model has failed, the whole server counts as not ready.
            self._repository.add_placeholder(name, versions)
            control.load(name, UNDO_TIMEOUT_S)
        control.unload(name, UNDO_TIMEOUT_S)


def _unload_late(control: ControlChannel, name: str, _reply: Future[str]) -> None:
    control.submit(Op.UNLOAD, name)
