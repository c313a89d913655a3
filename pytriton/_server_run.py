# SPDX-License-Identifier: Apache-2.0
"""A server that this process starts: load, replace and unload models, drain, stop."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent import futures
from concurrent.futures import Future
from typing import Final

from pytriton._lifecycle import LEAST_WAIT_S, Run, stop_workers, until
from pytriton.binding import Binding
from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import PyTritonModelLoadError, PyTritonRuntimeError, PyTritonServerError
from pytriton.server.command import has_models_of_its_own, server_command
from pytriton.server.config import TritonConfig
from pytriton.server.control import ControlChannel, Op
from pytriton.server.locate import locate_server
from pytriton.server.ports import endpoints
from pytriton.server.process import ServerProcess
from pytriton.server.repository import ATTACH_TIMEOUT_S, SavedModel
from pytriton.server.security import TritonSecurityConfig
from pytriton.server.workspace import Workspace

__all__ = ["ServerRun"]

LOGGER = logging.getLogger("pytriton.triton")

_WORKSPACE_VARIABLE: Final = "PYTRITON_WORKSPACE"
_EXIT_TIMEOUT_S: Final = 30.0
_REFUSED_CONFIG: Final = "failed to poll"
_LOAD_TIMEOUT_S: Final = ATTACH_TIMEOUT_S + 90.0
_UNDO_TIMEOUT_S: Final = 5.0
_FAIL_TIMEOUT_S: Final = 1.0


class ServerRun(Run):
    """A server from its start to its end."""

    def __init__(
        self,
        config: TritonConfig,
        security: TritonSecurityConfig,
        workspace: Workspace,
        server: str | os.PathLike[str] | None,
        on_exit: Callable[[], None],
        bindings: Sequence[Binding] = (),
    ) -> None:
        """Start the server.

        Args:
            config: Options of the server.
            security: Which endpoints need a token.
            workspace: Where its files go.
            server: Executable to use, if it is given.
            on_exit: Called from a thread when the server has ended without having been asked to.
            bindings: Models that it shall load when it starts, before it takes requests.
        """
        super().__init__(endpoints(config, os.environ), workspace)
        exit_timeout = config.exit_timeout_secs
        self._exit_timeout_s = _EXIT_TIMEOUT_S if exit_timeout is None else float(exit_timeout)
        self._has_work_of_its_own = has_models_of_its_own(config) or bool(config.trace_config)

        def ended() -> None:
            self.ended.set()
            on_exit()

        command = server_command(
            config,
            security,
            self.endpoints,
            locate_server(server),
            self.repository,
            loads_all=bool(bindings),
        )
        self._process = ServerProcess(
            command,
            self.endpoints,
            environment={_WORKSPACE_VARIABLE: "\n".join(map(str, workspace.temporary_directories))},
            log_file=config.log_file,
            on_exit=ended,
        )
        self._start(bindings)

    def server_failure(self) -> PyTritonRuntimeError | None:
        """Why the server does not run, if it does not."""
        return None if self._process.is_alive() else self._process.ended_error()

    def load(self, bindings: Sequence[Binding]) -> None:
        """Serve models; if one cannot be, none of them is."""
        names = sorted({binding.name for binding in bindings})
        saved = [self.repository.save(name) for name in names]
        replies: dict[str, Future[str]] = {}
        trouble: Future[str] = Future()
        try:
            for binding in bindings:
                self.prepare(binding, trouble)
            for name in names:
                replies[name] = self._process.control.submit(Op.LOAD, name)
            for name, reply in replies.items():
                self._wait_loaded(name, reply, trouble)
        except BaseException:
            self._take_back(bindings, replies, saved)
            raise
        self.bindings += bindings
        if trouble.done():
            self.ended.set()

    def replace(self, old: Binding, new: Binding) -> None:
        """Serve a model with another function; if that cannot be, the old one still serves it."""
        saved = self.repository.save(new.name)
        trouble: Future[str] = Future()
        reply: Future[str] | None = None
        try:
            self.prepare(new, trouble)
            reply = self._process.control.submit(Op.LOAD, new.name)
            self._wait_loaded(new.name, reply, trouble)
        except BaseException:
            if not self._has_loaded(new.name, reply):
                stop_workers([new])
                self.repository.restore(saved)
                raise
            # It serves already, so that there is no way back to the old one.
            self._swap(old, new, trouble)
            raise
        self._swap(old, new, trouble)

    def unload(self, binding: Binding) -> None:
        """Serve a model no longer, once its requests are answered."""
        control = self._process.control
        saved = self.repository.save(binding.name)
        others = self.versions_besides(binding)
        self.bindings.remove(binding)
        self.repository.remove(binding.model)
        try:
            if others:
                control.load(binding.name, _LOAD_TIMEOUT_S)
        except BaseException:
            self.repository.restore(saved)
            self.bindings.append(binding)
            raise
        try:
            if others:
                self._await_release(binding)
                return
            reply = control.submit(Op.UNLOAD, binding.name)
            self._wait_drained({binding.name: reply}, [binding], time.monotonic() + self._exit_timeout_s)
            if reply.done():
                reply.result()
        finally:
            stop_workers([binding])

    def stop(self) -> None:
        """Answer what is in flight, then end the server and the workers."""
        self.ended.set()
        try:
            self._drain()
            self._process.stop(has_work=self._has_work_of_its_own)
        except BaseException:
            # A second Ctrl-C does not wait.
            self._process.kill()
            stop_workers(self.bindings, LEAST_WAIT_S)
            raise
        finally:
            stop_workers(self.bindings)

    def _start(self, bindings: Sequence[Binding]) -> None:
        trouble: Future[str] = Future()
        started = threading.Event()

        def give_up(_trouble: Future[str]) -> None:
            if not started.is_set():
                self._process.kill()  # it would wait for the workers

        self.repository.add_bootstrap()
        try:
            for binding in bindings:
                self.prepare(binding, trouble)
            trouble.add_done_callback(give_up)
            self._process.start()
            started.set()
            self._forget_bootstrap()
        except BaseException as error:
            stop_workers(bindings)
            if trouble.done() and isinstance(error, PyTritonServerError):
                raise PyTritonModelLoadError(str(trouble.exception())) from error
            raise
        self.bindings += bindings
        if trouble.done():
            self.ended.set()

    def _forget_bootstrap(self) -> None:
        try:
            self._process.control.unload(BOOTSTRAP_MODEL_NAME, _UNDO_TIMEOUT_S)
        except BaseException:
            self._process.kill()
            raise
        self.repository.remove_bootstrap()

    def _wait_loaded(self, name: str, reply: Future[str], trouble: Future[str]) -> None:
        futures.wait((reply, trouble), _LOAD_TIMEOUT_S, return_when=futures.FIRST_COMPLETED)
        if trouble.done() and not reply.done():
            trouble.result()
        if not reply.done():
            raise PyTritonServerError(
                f'The server was still loading model "{name}" after {_LOAD_TIMEOUT_S:g} s.'
            )
        try:
            reply.result()
        except PyTritonModelLoadError as error:
            # Why it refuses a configuration the server says in its log alone.
            why = self._process.complaint(f"'{name}'") if _REFUSED_CONFIG in error.message else ""
            if not why:
                raise
            raise PyTritonModelLoadError(f"{error.message}: {why}", error.code) from None

    def _has_loaded(self, name: str, reply: Future[str] | None) -> bool:
        """Whether a load has succeeded after all; it is given up if it still runs."""
        if reply is None:
            return False
        if not reply.done():
            futures.wait((reply, self._process.control.submit(Op.GIVE_UP, name)), _UNDO_TIMEOUT_S)
        return reply.done() and reply.exception() is None

    def _swap(self, old: Binding, new: Binding, trouble: Future[str]) -> None:
        self.take_place(old, new, trouble)
        try:
            self._await_release(old)
        finally:
            stop_workers([old])

    def _await_release(self, binding: Binding) -> None:
        reply = self._process.control.submit(Op.AWAIT_RELEASE, str(binding.socket_path))
        label = "{} version {}".format(*binding.label)
        self._wait_drained({label: reply}, [binding], time.monotonic() + self._exit_timeout_s)

    def _drain(self) -> None:
        if not self._process.is_alive() or not self.bindings:
            return
        deadline = time.monotonic() + self._exit_timeout_s
        names = sorted({binding.name for binding in self.bindings})
        # No threads here: at the end of the interpreter none can be started.
        replies = {name: self._process.control.submit(Op.UNLOAD, name) for name in names}
        self._wait_drained(replies, self.bindings, deadline)
        self._process.wait_quiet(until(deadline))

    def _wait_drained(
        self, replies: Mapping[str, Future[str]], bindings: Sequence[Binding], deadline: float
    ) -> None:
        futures.wait(replies.values(), until(deadline))
        if slow := [label for label, reply in replies.items() if not reply.done()]:
            LOGGER.warning(
                "Requests in flight for %s have no answer within exit_timeout_secs=%g and fail now.",
                ", ".join(slow),
                self._exit_timeout_s,
            )
            # Without its workers the backend answers for them.
            late = [binding for binding in bindings if len(bindings) == 1 or binding.name in slow]
            stop_workers(late, LEAST_WAIT_S)
            futures.wait(replies.values(), _FAIL_TIMEOUT_S)

    def _take_back(
        self, bindings: Sequence[Binding], replies: Mapping[str, Future[str]], saved: Collection[SavedModel]
    ) -> None:
        stop_workers(bindings)
        served = {binding.name for binding in self.bindings}
        for name, reply in replies.items():
            versions = [binding.model.model_version for binding in bindings if binding.name == name]
            with contextlib.suppress(PyTritonRuntimeError):
                if name in served:
                    self._take_back_versions(name, versions, reply)
                else:
                    self._take_back_model(name, versions, reply)
        for model in saved:
            self.repository.restore(model)
        for name in served & replies.keys():
            with contextlib.suppress(PyTritonRuntimeError):
                self.repository.touch(name)
                self._process.control.load(name, _UNDO_TIMEOUT_S)

    def _take_back_versions(self, name: str, versions: Sequence[int], reply: Future[str]) -> None:
        if not self._has_loaded(name, reply):
            self.repository.add_refused(name, versions)
            self._process.control.load(name, _UNDO_TIMEOUT_S)

    def _take_back_model(self, name: str, versions: Sequence[int], reply: Future[str]) -> None:
        control = self._process.control
        if not reply.done():
            # Makes it wait no longer for its workers.
            futures.wait((reply, control.submit(Op.UNLOAD, name)), _UNDO_TIMEOUT_S)
        if not reply.done():
            reply.add_done_callback(functools.partial(_unload_late, control, name))
            return
        if reply.exception() is not None:
            # As long as the last load of a model has failed, the whole server counts as not ready.
            self.repository.add_placeholder(name, versions)
            control.load(name, _UNDO_TIMEOUT_S)
        control.unload(name, _UNDO_TIMEOUT_S)


def _unload_late(control: ControlChannel, name: str, _reply: Future[str]) -> None:
    control.submit(Op.UNLOAD, name)
