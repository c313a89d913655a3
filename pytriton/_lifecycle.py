# SPDX-License-Identifier: Apache-2.0
"""One run of a server with the models it serves: start, load, drain, stop; and who stops it at the end."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future
from types import FrameType
from typing import Any, Final

from pytriton.binding import Binding
from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import (
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonRuntimeError,
    PyTritonServerError,
)
from pytriton.server.config import TritonConfig
from pytriton.server.control import ControlChannel, Op
from pytriton.server.locate import ServerBinary, locate_backends, locate_server
from pytriton.server.ports import Endpoint, endpoints
from pytriton.server.process import ServerProcess
from pytriton.server.repository import ATTACH_TIMEOUT_S, ModelRepository
from pytriton.server.security import TritonSecurityConfig
from pytriton.server.workspace import Workspace

__all__ = ["ServerRun", "interrupted_by_sigterm"]

LOGGER = logging.getLogger("pytriton.triton")

_WORKSPACE_VARIABLE: Final = "PYTRITON_WORKSPACE"
_EXIT_TIMEOUT_S: Final = 30.0
_REFUSED_CONFIG: Final = "failed to poll"
_LOAD_TIMEOUT_S: Final = ATTACH_TIMEOUT_S + 90.0
_UNDO_TIMEOUT_S: Final = 5.0
_STOP_WORKERS_TIMEOUT_S: Final = 2.0
_FAIL_TIMEOUT_S: Final = 1.0
# What takes no time at all is waited for even when there is none left.
_LEAST_WAIT_S: Final = 0.1


class Flag:
    """Like threading.Event, but set() may be called by a signal handler that interrupts wait()."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._is_set = False

    def set(self) -> None:
        """Wake all that wait."""
        self._is_set = True
        self._open()

    def wait(self, timeout_s: float) -> bool:
        """Whether the flag is set, or has been within the time."""
        if not self._is_set and self._gate.acquire(timeout=timeout_s):
            self._open()  # for the next one that waits
        return self._is_set

    def _open(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open
            self._gate.release()


class ServerRun:
    """A server from its start to its end."""

    def __init__(
        self,
        config: TritonConfig,
        security: TritonSecurityConfig,
        workspace: Workspace,
        server: str | os.PathLike[str] | None,
        on_exit: Callable[[], None],
    ) -> None:
        """Start the server; it serves no model yet.

        Args:
            config: Options of the server.
            security: Which endpoints need a token.
            workspace: Where its files go.
            server: Executable to use, if it is given.
            on_exit: Called from a thread when the server has ended without having been asked to.
        """
        self.endpoints = endpoints(config, os.environ)
        self._workspace = workspace
        self._repository = ModelRepository(workspace.model_store_path)
        exit_timeout = config.exit_timeout_secs
        self._exit_timeout_s = _EXIT_TIMEOUT_S if exit_timeout is None else float(exit_timeout)
        self._has_work_of_its_own = _has_models_of_its_own(config) or bool(config.trace_config)
        self._bindings: list[Binding] = []
        self.ended = Flag()
        """Set when the server or a model has ended, or is about to be stopped."""

        def ended() -> None:
            self.ended.set()
            on_exit()

        binary = locate_server(server)
        self._process = ServerProcess(
            _command(config, security, self.endpoints, binary, self._repository),
            self.endpoints,
            environment={_WORKSPACE_VARIABLE: "\n".join(map(str, workspace.temporary_directories))},
            log_file=config.log_file,
            on_exit=ended,
        )
        self._repository.add_bootstrap()
        self._process.start()
        self._forget_bootstrap()

    def is_alive(self) -> bool:
        """Whether the server and all models' workers run."""
        return self._process.is_alive() and all(binding.is_alive() for binding in self._bindings)

    def failure(self) -> PyTritonRuntimeError | None:
        """Why it is not alive, if it is not."""
        if not self._process.is_alive():
            return self._process.ended_error()
        for binding in self._bindings:
            if not binding.is_alive():
                failure = PyTritonRuntimeError(
                    f'The workers of model "{binding.name}" ended: {_words(binding.failure)}'
                )
                failure.__cause__ = binding.failure
                return failure
        return None

    def load(self, bindings: Sequence[Binding]) -> None:
        """Serve models; if one cannot be, none of them is."""
        names = {binding.name for binding in bindings}
        if served := sorted(names & {binding.name for binding in self._bindings}):
            raise PyTritonInvalidOperationError(
                f'model "{served[0]}" is served in another version; bind all its versions before run().'
            )
        replies: dict[str, Future[str]] = {}
        trouble: Future[str] = Future()
        try:
            for binding in bindings:
                socket_path = self._workspace.new_socket_path()
                self._repository.add(binding.model, socket_path, binding.worker_count)
                binding.start_workers(socket_path, functools.partial(self._worker_failed, binding, trouble))
            for name in sorted(names):
                replies[name] = self._process.control.submit(Op.LOAD, name)
            for name, reply in replies.items():
                _wait_loaded(name, reply, trouble, self._process.complaint)
        except BaseException:
            self._undo(bindings, replies)
            raise
        self._bindings += bindings
        if trouble.done():
            self.ended.set()

    def stop(self) -> None:
        """Answer what is in flight, then end the server and the workers."""
        self.ended.set()
        try:
            self._drain()
            self._process.stop(has_work=self._has_work_of_its_own)
        except BaseException:
            # A second Ctrl-C does not wait.
            self._process.kill()
            _stop_workers(self._bindings, _LEAST_WAIT_S)
            raise
        finally:
            _stop_workers(self._bindings)

    def _forget_bootstrap(self) -> None:
        try:
            self._process.control.unload(BOOTSTRAP_MODEL_NAME, _UNDO_TIMEOUT_S)
        except BaseException:
            self._process.kill()
            raise
        self._repository.remove_bootstrap()

    def _drain(self) -> None:
        if not self._process.is_alive() or not self._bindings:
            return
        deadline = time.monotonic() + self._exit_timeout_s
        names = sorted({binding.name for binding in self._bindings})
        # No threads here: at the end of the interpreter none can be started.
        replies = {name: self._process.control.submit(Op.UNLOAD, name) for name in names}
        futures.wait(replies.values(), _until(deadline))
        if slow := [name for name, reply in replies.items() if not reply.done()]:
            LOGGER.warning(
                "Requests in flight for %s have no answer within exit_timeout_secs=%g and fail now.",
                ", ".join(slow),
                self._exit_timeout_s,
            )
            # Without its workers the backend answers for them.
            _stop_workers([binding for binding in self._bindings if binding.name in slow], _LEAST_WAIT_S)
            futures.wait(replies.values(), _FAIL_TIMEOUT_S)
        self._process.wait_quiet(_until(deadline))

    def _worker_failed(self, binding: Binding, trouble: Future[str], error: BaseException) -> None:
        message = f'A worker of model "{binding.name}" has ended: {_words(error)}'
        failure = PyTritonModelLoadError(message)
        failure.__cause__ = error
        with contextlib.suppress(futures.InvalidStateError):  # another one was first
            trouble.set_exception(failure)
        if binding in self._bindings:
            self.ended.set()

    def _undo(self, bindings: Sequence[Binding], replies: dict[str, Future[str]]) -> None:
        control = self._process.control
        _stop_workers(bindings)
        for name, reply in replies.items():
            if not reply.done():
                # Makes it wait no longer for its workers.
                futures.wait((reply, control.submit(Op.UNLOAD, name)), _UNDO_TIMEOUT_S)
            if not reply.done():
                reply.add_done_callback(functools.partial(_unload_late, control, name))
                continue
            with contextlib.suppress(PyTritonRuntimeError):
                if reply.exception() is not None:
                    # As long as the last load of a model has failed, the whole server counts as not ready.
                    versions = [binding.model.model_version for binding in bindings if binding.name == name]
                    self._repository.add_placeholder(name, versions)
                    control.load(name, _UNDO_TIMEOUT_S)
                control.unload(name, _UNDO_TIMEOUT_S)
        for binding in bindings:
            self._repository.remove(binding.model)


def _words(error: BaseException | None) -> str:
    return str(error) or repr(error)


def _stop_workers(bindings: Sequence[Binding], timeout_s: float = _STOP_WORKERS_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    for binding in bindings:
        binding.stop_workers(_until(deadline))


def _until(deadline: float) -> float:
    return max(_LEAST_WAIT_S, deadline - time.monotonic())


def _unload_late(control: ControlChannel, name: str, _reply: Future[str]) -> None:
    control.submit(Op.UNLOAD, name)


def _wait_loaded(
    name: str, reply: Future[str], trouble: Future[str], complaint: Callable[[str], str]
) -> None:
    futures.wait((reply, trouble), _LOAD_TIMEOUT_S, return_when=futures.FIRST_COMPLETED)
    if trouble.done() and not reply.done():
        trouble.result()
    if not reply.done():
        raise PyTritonServerError(f'The server was still loading model "{name}" after {_LOAD_TIMEOUT_S:g} s.')
    try:
        reply.result()
    except PyTritonModelLoadError as error:
        # Why it refuses a configuration the server says in its log alone.
        why = complaint(f"'{name}'") if _REFUSED_CONFIG in error.message else ""
        if not why:
            raise
        raise PyTritonModelLoadError(f"{error.message}: {why}", error.code) from None


def _has_models_of_its_own(config: TritonConfig) -> bool:
    return config.model_repository is not None or bool(config.model_repositories)


def _command(
    config: TritonConfig,
    security: TritonSecurityConfig,
    opened: Sequence[Endpoint],
    binary: ServerBinary,
    repository: ModelRepository,
) -> list[str]:
    ours: dict[str, Any] = {
        f"{endpoint.option}_address": endpoint.server_address
        for endpoint in opened
        if getattr(config, f"{endpoint.option}_address", None) is not None
    }
    if config.cache_directory is None and binary.cache_directory is not None:
        ours["cache_directory"] = str(binary.cache_directory)
    if (restriction := security.restriction) is not None:
        ours |= {"http_restricted_api": restriction, "grpc_restricted_protocol": restriction}
    if not _has_models_of_its_own(config):
        # We drain before we end the server. With a timeout it would wait for idle connections to go away too.
        ours["exit_timeout_secs"] = 0
    # The server takes "*" only alone; the bootstrap model is then one of all.
    loaded = "*" if _has_models_of_its_own(config) else BOOTSTRAP_MODEL_NAME
    return [
        str(binary.path),
        f"--model-repository={repository.path}",
        "--model-control-mode=explicit",
        f"--load-model={loaded}",
        f"--backend-directory={locate_backends()}",
        *TritonConfig(**ours).over(config).arguments(),
    ]


@contextlib.contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt the main thread as Ctrl-C does, unless the program has a handler of its own."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt("SIGTERM")

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
