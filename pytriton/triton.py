# SPDX-License-Identifier: Apache-2.0
"""Serve Python functions with a Triton server that this process starts."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from pytriton._lifecycle import ServerRun, interrupted_by_sigterm
from pytriton._native import BUNDLED_DIRECTORY
from pytriton.binding import Binding, InferFunction, bind_model
from pytriton.constants import (
    MODEL_CONFIG_URL,
    MODEL_INFER_URL,
    MODEL_READY_URL,
    MODEL_URL,
    MONITORING_PERIOD_S,
    WAIT_FORM_MODEL_TIMEOUT_S,
)
from pytriton.exceptions import PyTritonInvalidOperationError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.server.config import TritonConfig
from pytriton.server.lifecycle import (
    DefaultTritonLifecyclePolicy,
    TritonLifecyclePolicy,
    VertextAILifecyclePolicy,
)
from pytriton.server.security import (
    DEFAULT_PROTECTED_ENDPOINTS,
    TRITON_ACCESS_HEADER,
    VALID_TRITON_ENDPOINTS,
    TritonSecurityConfig,
)
from pytriton.server.workspace import Workspace

__all__ = [
    "DEFAULT_PROTECTED_ENDPOINTS",
    "MODEL_CONFIG_URL",
    "MODEL_INFER_URL",
    "MODEL_READY_URL",
    "MODEL_URL",
    "MONITORING_PERIOD_S",
    "TRITONSERVER_DIST_DIR",
    "TRITON_ACCESS_HEADER",
    "VALID_TRITON_ENDPOINTS",
    "WAIT_FORM_MODEL_TIMEOUT_S",
    "DefaultTritonLifecyclePolicy",
    "Triton",
    "TritonConfig",
    "TritonLifecyclePolicy",
    "TritonSecurityConfig",
    "VertextAILifecyclePolicy",
]

LOGGER = logging.getLogger(__name__)

TRITONSERVER_DIST_DIR: Final = BUNDLED_DIRECTORY
"""Directory of the bundled server; it exists only if there is one."""

_running: weakref.WeakSet[Triton] = weakref.WeakSet()


class Triton:
    """A Triton server and the Python functions that it serves as models."""

    def __init__(
        self,
        *,
        config: TritonConfig | None = None,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        triton_lifecycle_policy: TritonLifecyclePolicy | None = None,
        security_config: TritonSecurityConfig | None = None,
        server: str | os.PathLike[str] | None = None,
    ) -> None:
        """Describe a server; nothing is started yet.

        Args:
            config: Options of the server; what it leaves out is taken from the environment.
            workspace: Directory for the server's files, which must not exist yet; a temporary one by default.
            triton_lifecycle_policy: When the server is started.
            security_config: Which endpoints need a token; the administrative ones by default.
            server: A tritonserver, or the directory of a Triton installation, instead of the bundled one.
        """
        if triton_lifecycle_policy is None:
            vertex = config is not None and config.allow_vertex_ai
            triton_lifecycle_policy = VertextAILifecyclePolicy if vertex else DefaultTritonLifecyclePolicy
        self._policy = triton_lifecycle_policy
        self._config = (config or TritonConfig()).over(TritonConfig.from_env())
        self._security = security_config or TritonSecurityConfig()
        self._server = server
        self._workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._bindings: dict[tuple[str, int], Binding] = {}
        self._run: ServerRun | None = None
        self._connected = False

    def bind(
        self,
        model_name: str,
        infer_func: InferFunction | Sequence[InferFunction],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        model_version: int = 1,
        config: ModelConfig | None = None,
        strict: bool = False,
        trace_config: list[str] | None = None,
    ) -> None:
        """Serve a function as a model: at once if the server runs, else when it is started.

        Args:
            model_name: Name in requests: letters, digits, dots, underscores and dashes.
            infer_func: Function that takes a list of requests, or one under a decorator such as @batch;
                several of them serve the model side by side.
            inputs: Inputs of the model.
            outputs: Outputs of the model.
            model_version: Version of the model.
            config: Batching and other options.
            strict: Whether outputs are checked against `outputs` to the letter.
            trace_config: Settings of tracing, instead of those in TritonConfig.
        """
        binding = bind_model(model_name, infer_func, inputs, outputs, model_version, config, strict)
        binding.trace(self._config.trace_config if trace_config is None else trace_config)
        with self._lock:
            if binding.key in self._bindings:
                raise PyTritonInvalidOperationError(
                    "Cannot add model with the same name twice. "
                    f'Model "{model_name}" version {model_version} is bound already (case does not count).'
                )
            if self._run is not None and self._connected:
                self._run.load([binding])
                _log_models(self._run, [binding])
            self._bindings[binding.key] = binding

    def run(self) -> None:
        """Start the server; returns when it serves all bound models."""
        with self._lock:
            self._start()
            self.connect()

    def connect(self) -> None:
        """Load the bound models into the server that was started; does nothing when that is done."""
        with self._lock:
            run = self._run
            if run is None:
                raise PyTritonInvalidOperationError(
                    "There is no server to connect to; call run() or serve()."
                )
            if self._connected:
                return
            bindings = list(self._bindings.values())
            try:
                run.load(bindings)
            except BaseException:
                self.stop()
                raise
            if self._run is run:  # else a signal handler of the program has called stop()
                self._connected = True
                _log_models(run, bindings)

    def serve(self, monitoring_period_s: float = MONITORING_PERIOD_S) -> None:
        """Run until Ctrl-C, SIGTERM or stop() in another thread; raise if the server or a model fails.

        Args:
            monitoring_period_s: How often, at the latest, the health of server and models is looked at.
        """
        with interrupted_by_sigterm():
            try:
                self.run()
                self._wait(monitoring_period_s)
            except KeyboardInterrupt as interrupt:
                LOGGER.info("%s received, stopping.", "SIGTERM" if interrupt.args else "SIGINT")
            finally:
                self.stop()

    def stop(self) -> bool:
        """Answer requests in flight, end the server, remove its files; False if there was none to stop."""
        if os.getpid() != self._owner:  # the server belongs to the process that forked this one
            return False
        run = self._run
        if run is not None:
            run.ended.set()
        with self._lock:
            run, self._run = self._run, None
            self._connected = False
            _running.discard(self)
            try:
                if run is not None:
                    run.stop()
            finally:
                self._workspace.clean()
            if run is None:
                return False
        self._warn_verbose()
        LOGGER.info("The Triton server has stopped.")
        return True

    def is_alive(self) -> bool:
        """Whether the server and all models run."""
        run = self._run
        return run is not None and run.is_alive()

    def is_connected(self) -> bool:
        """Whether the bound models are served."""
        return self._connected

    def get_access_token(self) -> str | None:
        """Token that restricted endpoints want."""
        return self._security.access_token

    def __enter__(self) -> Triton:
        """Start the server, if the policy says so."""
        if self._policy.launch_triton_on_startup:
            self.run()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def _start(self) -> None:
        if self._run is not None:
            if self._run.is_alive():
                return
            self.stop()
        self._workspace.ensure()
        _stop_at_exit()
        try:
            # The callback keeps this object alive as long as its server runs.
            self._run = ServerRun(self._config, self._security, self._workspace, self._server, self._on_exit)
        except BaseException:
            self._workspace.clean()
            raise
        _running.add(self)
        self._warn_verbose()

    def _wait(self, monitoring_period_s: float) -> None:
        run = self._run
        if run is None:
            return
        while run.is_alive() and not run.ended.wait(monitoring_period_s):
            pass
        with self._lock:
            stopped = self._run is not run
        if not stopped and (failure := run.failure()) is not None:
            raise failure

    def _on_exit(self) -> None:
        run = self._run
        if run is not None and (failure := run.failure()) is not None:
            LOGGER.error("%s", failure)

    def _warn_verbose(self) -> None:
        if self._config.log_verbose:
            LOGGER.warning(
                "Triton Inference Server is running with enabled verbose logs (log_verbose=%d). "
                "It may affect inference performance.",
                self._config.log_verbose,
            )


def _log_models(run: ServerRun, bindings: Sequence[Binding]) -> None:
    for endpoint in run.endpoints:
        LOGGER.info("%s endpoint: %s", endpoint.name, endpoint.local)
        for binding in bindings if endpoint.name == "HTTP" else ():
            url = f"http://{endpoint.local}{MODEL_INFER_URL.format(model_name=binding.name)}"
            LOGGER.info('Model "%s" version %d: POST %s', *binding.label, url)


@functools.cache
def _stop_at_exit() -> None:
    atexit.register(_stop_running)


def _stop_running() -> None:
    for triton in list(_running):
        triton.stop()
