# SPDX-License-Identifier: Apache-2.0
"""A server that somebody else runs: load models into it, replace and unload them, and leave it as it was."""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from pytriton.constants import BACKEND_NAME, DEFAULT_TRITON_STARTUP_TIMEOUT_S
from pytriton.exceptions import (
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonRuntimeError,
    PyTritonServerError,
)
from pytriton.limits import Limits
from pytriton.server.locate import locate_backends
from pytriton.server.owner import MARK, OwnerMark, has_ended
from pytriton.server.ports import Endpoint
from pytriton.server.remote import RemoteServer
from pytriton.server.workspace import Workspace
from pytriton.serving.binding import Binding
from pytriton.serving.run import LEAST_WAIT_S, Run, stop_workers

__all__ = ["RemoteRun"]

LOGGER = logging.getLogger("pytriton.triton")

_ATTACH_TIMEOUT_S: Final = 10.0
_ASK_TIMEOUT_S: Final = 10.0
_LOAD_TIMEOUT_S: Final = 90.0
_FAIL_TIMEOUT_S: Final = 1.0
_START_POLL_S: Final = 0.1
_DRAIN_POLL_S: Final = 0.01
_NO_BACKEND: Final = "unable to find backend library"
_LIBRARY: Final = f"libtriton_{BACKEND_NAME}.so"
_GENERATION: Final = "pytriton_generation"
_OWNER: Final = "pytriton_owner"


class RemoteRun(Run):
    """The models of this process in a server of another one."""

    def __init__(self, server: RemoteServer, workspace: Workspace, limits: Limits | None = None) -> None:
        """Do nothing yet.

        Args:
            server: Where the models go.
            workspace: Where the sockets are by which the server reaches the workers.
            limits: What all models may take together, and how long they have to end.
        """
        name, option = ("gRPC", "grpc") if server.url.scheme == "grpc" else ("HTTP", "http")
        super().__init__(
            [Endpoint(name, option, server.url.host, server.url.port)], workspace, _ATTACH_TIMEOUT_S, limits
        )
        if limits is not None and limits.requests_per_model != Limits().requests_per_model:
            LOGGER.warning(
                "Limits(requests_per_model=%d) has no effect on a server that somebody else runs; "
                "QueuePolicy(max_queue_size=...) limits the queue of a model there.",
                limits.requests_per_model,
            )
        self._server = server
        self._library: dict[str, bytes] = {}
        self._generations: dict[str, int] = {}
        self._was_live = False
        self._mark: OwnerMark | None = None
        self._mark_path = workspace.path / MARK

    def server_failure(self) -> PyTritonRuntimeError | None:
        """Why the server does not serve the models, if it does not."""
        if (failure := self._why_not_live()) is not None:
            return failure
        try:
            lost = [name for name, is_there in self._look_for_models().items() if not is_there]
        except PyTritonServerError as error:
            return error
        if not lost:
            return None
        return PyTritonServerError(
            f'The Triton server at {self._server.url} no longer has model "{lost[0]}": it has been started '
            "anew, or somebody has unloaded the model. Start this program again to load it."
        )

    def _why_not_live(self) -> PyTritonRuntimeError | None:
        try:
            self._server.check_live(_ASK_TIMEOUT_S)
        except PyTritonServerError as error:
            return error
        return None

    def _look_for_models(self) -> dict[str, bool]:
        """Whether the server has the models, by name."""
        names = {binding.name for binding in self.bindings}
        there = {name: self._server.has_model(name, _ASK_TIMEOUT_S) for name in sorted(names)}
        # One that has been unbound meanwhile is not missed.
        return {name: there[name] for name in sorted({binding.name for binding in self.bindings} & names)}

    def load(self, bindings: Sequence[Binding]) -> None:
        """Serve models; if one cannot be, none of them is."""
        self._wait_live()
        names = sorted({binding.name for binding in bindings})
        served = {binding.name for binding in self.bindings}
        self._check_unused([name for name in names if name not in served])
        saved = [self.repository.save(name) for name in names]
        begun: list[str] = []
        trouble: Future[str] = Future()
        try:
            for binding in bindings:
                self.start_workers(binding, trouble)
                self.write_files(binding)
            for name in names:
                begun.append(name)
                self._load(name, trouble)
        except BaseException:
            stop_workers(bindings)
            for name in begun:
                versions = [binding.model.model_version for binding in bindings if binding.name == name]
                with contextlib.suppress(PyTritonRuntimeError):
                    self._take_back(name, versions, is_served=name in served)
            for model in saved:
                self.repository.restore(model)
            for name in served.intersection(begun):
                with contextlib.suppress(PyTritonRuntimeError):
                    self._load(name)
            raise
        self.bindings += bindings
        if trouble.done():
            self.ended.set()

    def replace(self, old: Binding, new: Binding) -> None:
        """Serve a model with another function; if that cannot be, the old one still serves it."""
        if self._library and self.versions_besides(old):
            raise PyTritonInvalidOperationError(
                f'model "{new.name}" has other versions, and the Triton server at {self._server.url} has no '
                "backend of ours: it cannot replace one of them. Unbind it first, or start the server with "
                "--backend-directory."
            )
        saved = self.repository.save(new.name)
        trouble: Future[str] = Future()
        try:
            self.start_workers(new, trouble)
            self.write_files(new)
            self._load(new.name, trouble, anew=True)
        except BaseException:
            stop_workers([new])
            self.repository.restore(saved)
            raise
        self.take_place(old, new, trouble)

    def unload(self, binding: Binding) -> None:
        """Let a model take no more requests; it has those that it has until `release`."""
        others = self.versions_besides(binding)
        saved = self.repository.save(binding.name)
        self.bindings.remove(binding)
        try:
            self.repository.remove(binding.model)
            if others:
                self._load(binding.name)
            else:
                self._server.unload(binding.name, _LOAD_TIMEOUT_S)
        except BaseException:
            self.repository.restore(saved)
            self.bindings.append(binding)
            raise
        self.leaving.append(binding)

    def release(self, binding: Binding) -> None:
        """Wait until a replaced or unloaded model has answered its requests, then stop its workers."""
        try:
            self._release([binding])
        finally:
            self.leaving.remove(binding)

    def set_instances(self, binding: Binding) -> None:
        """Let the server pass on as many batches side by side as a model has workers."""
        self.repository.update_config(binding.model)
        self._load(binding.name)

    def stop(self) -> None:
        """Answer what is in flight, then take the models out of the server; it runs on."""
        self.ended.set()
        try:
            unloaded: set[str] = set()
            for name in sorted({binding.name for binding in self.bindings}):
                try:
                    if self._server.has_model(name, _ASK_TIMEOUT_S):
                        self._server.unload(name, _LOAD_TIMEOUT_S)
                        unloaded.add(name)
                except PyTritonServerError as error:
                    LOGGER.warning("%s", error)
            going = [binding for binding in self.bindings if binding.name in unloaded]
            self._release([*going, *self.leaving])
        finally:
            stop_workers(self.bindings)
            mark, self._mark = self._mark, None
            if mark is not None:
                mark.close()

    def _wait_live(self) -> None:
        deadline = time.monotonic() + DEFAULT_TRITON_STARTUP_TIMEOUT_S
        while not self._was_live:
            failure = self._why_not_live()
            if failure is None:
                self._was_live = True
                return
            will_stay = isinstance(failure.__cause__, ssl.SSLError)
            if will_stay or time.monotonic() > deadline or self.ended.wait(_START_POLL_S):
                raise failure

    def _check_unused(self, names: Sequence[str]) -> None:
        self._server.check_access(_ASK_TIMEOUT_S)
        for name in names:
            if self._server.has_model(name, _ASK_TIMEOUT_S) and not self._inherits(name):
                raise PyTritonInvalidOperationError(
                    f'The Triton server at {self._server.url} has a model "{name}" already. Bind under '
                    f"another name, or unload that one first: POST /v2/repository/models/{name}/unload."
                )

    def _inherits(self, name: str) -> bool:
        """Whether a model is that of a program which was killed; then it is taken out."""
        if not has_ended(self._server.parameter(name, _OWNER, _ASK_TIMEOUT_S)):
            return False
        LOGGER.warning('model "%s" was left behind by a program that was killed; it is replaced.', name)
        self._server.unload(name, _LOAD_TIMEOUT_S)
        return True

    def _load(self, name: str, trouble: Future[str] | None = None, *, anew: bool = False) -> None:
        # Files that come with the request have no time: the server keeps what is configured as before.
        if anew or not self._library:
            self._generations[name] = self._generations.get(name, 0) + 1
        if self._mark is None:
            self._mark = OwnerMark(self._mark_path)
        ours = {_GENERATION: str(self._generations.get(name, 0)), _OWNER: str(self._mark.path)}
        config = dict(self.repository.config(name))
        parameters = {key: {"string_value": value} for key, value in ours.items()}
        config["parameters"] = {**config.get("parameters", {}), **parameters}
        try:
            self._load_with_library(name, config)
        except PyTritonModelLoadError as error:
            if trouble is None or not trouble.done():
                raise
            raise PyTritonModelLoadError(str(trouble.exception())) from error

    def _load_with_library(self, name: str, config: dict[str, object]) -> None:
        files = self.repository.files(name)
        try:
            self._server.load(name, config, {**files, **self._library}, _LOAD_TIMEOUT_S)
        except PyTritonModelLoadError as error:
            if _NO_BACKEND not in error.message or self._library:
                raise
            LOGGER.info("The server at %s has no backend of ours, so that it is sent one.", self._server.url)
            library = locate_backends() / BACKEND_NAME / _LIBRARY
            self._library = {_LIBRARY: library.read_bytes()}
            self._server.load(name, config, {**files, **self._library}, _LOAD_TIMEOUT_S)

    def _take_back(self, name: str, versions: Sequence[int], *, is_served: bool) -> None:
        # As long as the last load of a model has failed, the whole server counts as not ready.
        if is_served:
            self.repository.add_refused(name, versions)
            self._load(name, anew=True)
        else:
            self.repository.add_placeholder(name, versions)
            self._load(name)
            self._server.unload(name, _LOAD_TIMEOUT_S)

    def _release(self, bindings: Sequence[Binding]) -> None:
        """Wait until the server has let go of models, for so long; then stop their workers."""
        try:
            if slow := self._wait_released(bindings, self.drain_timeout_s):
                LOGGER.warning(
                    "Requests in flight for %s have no answer within %g s and fail now; "
                    "Limits(drain_timeout_s=...) sets it.",
                    ", ".join("{} version {}".format(*binding.label) for binding in slow),
                    self.drain_timeout_s,
                )
                # Without its workers the backend answers for them.
                stop_workers(slow, LEAST_WAIT_S)
                self._wait_released(slow, _FAIL_TIMEOUT_S)
        finally:
            stop_workers(bindings)

    def _wait_released(self, bindings: Sequence[Binding], timeout_s: float) -> list[Binding]:
        """The models that the server still listens for after the time."""
        deadline = time.monotonic() + timeout_s
        next_look = time.monotonic() + _FAIL_TIMEOUT_S
        left = list(bindings)
        while left := [binding for binding in left if binding.socket_path and binding.socket_path.exists()]:
            now = time.monotonic()
            if now > deadline:
                break
            if now > next_look:
                next_look = now + _FAIL_TIMEOUT_S
                if self._why_not_live() is not None:
                    return []
            time.sleep(_DRAIN_POLL_S)
        return left
