# SPDX-License-Identifier: Apache-2.0
"""A server that this process starts: load, replace and unload models, drain, stop."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from pytriton import _native
from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import PyTritonModelLoadError, PyTritonRuntimeError, PyTritonServerError
from pytriton.limits import Limits
from pytriton.restarts import RestartPolicy
from pytriton.server.command import has_models_of_its_own, server_command, with_default_model
from pytriton.server.config import TritonConfig
from pytriton.server.control import Op
from pytriton.server.liveness import LivenessProbe
from pytriton.server.locate import ServerBinary, locate_server
from pytriton.server.ports import endpoints
from pytriton.server.process import ServerProcess
from pytriton.server.security import TritonSecurityConfig
from pytriton.server.supervisor import ServerSupervisor
from pytriton.server.workspace import Workspace
from pytriton.serving.binding import Binding
from pytriton.serving.drain import Drain
from pytriton.serving.loading import LOAD_TIMEOUT_S, UNDO_TIMEOUT_S, Loading
from pytriton.serving.run import LEAST_WAIT_S, Run, stop_workers, until

__all__ = ["ServerRun"]

LOGGER = logging.getLogger("pytriton.triton")

_WORKSPACE_VARIABLE: Final = "PYTRITON_WORKSPACE"
# native/src/preload/grpc_hook.cc knows the bundled server for this kind of machine from within.
_MEND_VARIABLE: Final = "PYTRITON_MEND_GRPC"
_MENDED_MACHINE: Final = "x86_64"
_REQUESTS_VARIABLE: Final = "PYTRITON_REQUESTS_PER_MODEL"


class ServerRun(Run):
    """A server from its start to its end; when it dies, it is started again with the same models."""

    def __init__(
        self,
        config: TritonConfig,
        security: TritonSecurityConfig,
        workspace: Workspace,
        server: str | os.PathLike[str] | None,
        on_exit: Callable[[], None],
        bindings: Sequence[Binding] = (),
        restart_policy: RestartPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Start the server.

        Args:
            config: Options of the server.
            security: Which endpoints need a token.
            workspace: Where its files go.
            server: Executable to use, if it is given.
            on_exit: Called from a thread when the server has ended for good without having been asked to.
            bindings: Models that it shall load when it starts, before it takes requests.
            restart_policy: How often it is started again when it dies.
            limits: What all models may take together, and how long they have to end.
        """
        super().__init__(endpoints(config, os.environ), workspace, limits=limits)
        config = with_default_model(config, self.endpoints, {binding.name for binding in bindings})
        self.drain_timeout_s = (limits or Limits()).drain_s(config.exit_timeout_secs)
        self._has_work_of_its_own = has_models_of_its_own(config) or bool(config.trace_config)
        self._has_cache = bool(config.cache_config)
        binary = locate_server(server)

        def ended() -> None:
            self.ended.set()
            on_exit()

        def make(on_process_exit: Callable[[], None]) -> ServerProcess:
            return ServerProcess(
                server_command(
                    config,
                    security,
                    self.endpoints,
                    binary,
                    self.repository,
                    loads_all=bool(bindings or self.bindings),
                ),
                self.endpoints,
                environment=_variables(workspace, limits or Limits(), binary),
                log_file=config.log_file,
                on_exit=on_process_exit,
            )

        self._server = ServerSupervisor(
            make,
            restart_policy or RestartPolicy(),
            before_restart=self._write_all,
            after_start=self._forget_bootstrap,
            on_end=ended,
        )
        self._start(bindings)
        self._probe: LivenessProbe | None = None
        hang_timeout_s = (restart_policy or RestartPolicy()).hang_timeout_s
        if hang_timeout_s is not None:
            self._probe = LivenessProbe(lambda: self._server.process, self.endpoints, hang_timeout_s)
            self._probe.start()

    def server_failure(self) -> PyTritonRuntimeError | None:
        """Why the server does not run and is not being started again, if so."""
        return self._server.failure()

    def load(self, bindings: Sequence[Binding]) -> None:
        """Serve models; if one cannot be, none of them is."""
        trouble: Future[str] = Future()
        self._start_workers(bindings, trouble)
        try:
            with self._server.steady() as process:
                loading = Loading(process, self.repository, trouble)
                loading.load(bindings, self.write_files, served={binding.name for binding in self.bindings})
                self.bindings += bindings
        except BaseException:
            stop_workers([binding for binding in bindings if binding not in self.bindings])
            raise
        if trouble.done():
            self.ended.set()

    def replace(self, old: Binding, new: Binding) -> None:
        """Serve a model with another function; if that cannot be, the old one still serves it."""
        trouble: Future[str] = Future()
        self._start_workers([new], trouble)
        try:
            with self._server.steady() as process:
                saved = self.repository.save(new.name)
                loading = Loading(process, self.repository, trouble)
                try:
                    self.write_files(new)
                    loading.begin(new.name)
                    loading.wait(new.name)
                except BaseException:
                    if loading.has_succeeded(new.name):  # it serves: there is no way back to the old one
                        self.take_place(old, new, trouble)
                    else:
                        self.repository.restore(saved)
                    raise
                self.take_place(old, new, trouble)
        except BaseException:
            if new not in self.bindings:
                stop_workers([new])
            raise

    def unload(self, binding: Binding) -> None:
        """Let a model take no more requests; it has those that it has until `release`."""
        with self._server.steady() as process:
            saved = self.repository.save(binding.name)
            others = self.versions_besides(binding)
            self.bindings.remove(binding)
            try:
                self.repository.remove(binding.model)
                if others:
                    process.control.load(binding.name, LOAD_TIMEOUT_S)
                else:
                    process.control.begin_unload(binding.name, LOAD_TIMEOUT_S)
            except BaseException:
                if process.is_alive():
                    self.repository.restore(saved)
                    self.bindings.append(binding)
                    raise
                # With the server all of its requests have gone, and the next one does not load it.
            self.leaving.append(binding)

    def release(self, binding: Binding) -> None:
        """Wait until a replaced or unloaded model has answered its requests, then stop its workers."""
        try:
            drain = Drain(self._server.process.control, [binding])
            drain.wait(self.drain_timeout_s)
        finally:
            self.leaving.remove(binding)
            stop_workers([binding])

    def set_instances(self, binding: Binding) -> None:
        """Let the server pass on as many batches side by side as a model has workers."""
        with self._server.steady() as process:
            self.repository.update_config(binding.model)
            process.control.load(binding.name, LOAD_TIMEOUT_S)

    def stop(self) -> None:
        """Answer what is in flight, then end the server and the workers."""
        self.ended.set()
        try:
            if self._probe is not None:
                self._probe.stop()
            process = self._server.retire()
            self._drain(process)
            process.stop(has_work=self._has_work_of_its_own)
        except BaseException:
            # A second Ctrl-C does not wait.
            self._server.kill()
            stop_workers(self.bindings, LEAST_WAIT_S)
            raise
        finally:
            stop_workers(self.bindings)

    def _start(self, bindings: Sequence[Binding]) -> None:
        trouble: Future[str] = Future()
        started = threading.Event()

        def give_up(_trouble: Future[str]) -> None:
            if not started.is_set():
                self._server.kill()  # it would wait for the workers

        self.repository.add_bootstrap()
        self._start_workers(bindings, trouble)
        try:
            for binding in bindings:
                self.write_files(binding)
            trouble.add_done_callback(give_up)
            self._server.start()
            started.set()
        except BaseException as error:
            stop_workers(bindings)
            if trouble.done() and isinstance(error, PyTritonServerError):
                raise PyTritonModelLoadError(str(trouble.exception())) from error
            raise
        self.bindings += bindings
        if trouble.done():
            self.ended.set()

    def _start_workers(self, bindings: Sequence[Binding], trouble: Future[str]) -> None:
        for binding in bindings:
            if binding.model.response_cache is not None and not self._has_cache:
                LOGGER.warning(
                    'model "%s" has response_cache=True, but the server has no cache: '
                    'TritonConfig(cache_config=["local,size=1048576"]) gives it one of so many bytes.',
                    binding.name,
                )
        try:
            for binding in bindings:
                self.start_workers(binding, trouble)
        except BaseException:
            stop_workers(bindings)
            raise

    def _write_all(self) -> None:
        """Write anew all that a server has to know which is started again, wherever it has gone."""
        self._workspace.mend()
        self.repository.clear()
        self.repository.add_bootstrap()
        for binding in self.bindings:
            self.write_files(binding, resumed=True)

    def _forget_bootstrap(self, process: ServerProcess) -> None:
        try:
            process.control.unload(BOOTSTRAP_MODEL_NAME, UNDO_TIMEOUT_S)
        except BaseException:
            process.kill()
            raise
        self.repository.remove_bootstrap()

    def _drain(self, process: ServerProcess) -> None:
        bindings = [*self.bindings, *self.leaving]
        if not process.is_alive() or not bindings:
            return
        deadline = time.monotonic() + self.drain_timeout_s
        # Before the models go, so that nobody is told that they are unknown.
        process.control.submit(Op.BEGIN_END)
        # No threads here: at the end of the interpreter none can be started.
        for name in sorted({binding.name for binding in self.bindings}):
            process.control.submit(Op.BEGIN_UNLOAD, name)
        Drain(process.control, bindings).wait(self.drain_timeout_s)
        process.wait_quiet(until(deadline))


def _variables(workspace: Workspace, limits: Limits, binary: ServerBinary) -> dict[str, str]:
    variables = {
        _WORKSPACE_VARIABLE: "\n".join(map(str, workspace.temporary_directories)),
        _REQUESTS_VARIABLE: str(limits.requests_per_model),
    }
    if binary.path == _native.BUNDLED_SERVER and platform.machine() == _MENDED_MACHINE:
        variables[_MEND_VARIABLE] = "1"
    return variables
