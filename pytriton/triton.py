# SPDX-License-Identifier: Apache-2.0
"""Serve Python functions with a Triton server: one that this process starts, or one that runs already."""

from __future__ import annotations

import logging
import os
from typing import Final

from pytriton._native import BUNDLED_DIRECTORY
from pytriton.configuration import layers
from pytriton.constants import (
    MODEL_CONFIG_URL,
    MODEL_INFER_URL,
    MODEL_READY_URL,
    MODEL_URL,
    MONITORING_PERIOD_S,
    WAIT_FORM_MODEL_TIMEOUT_S,
)
from pytriton.exceptions import PyTritonInvalidOperationError, PyTritonServerError
from pytriton.limits import Limits
from pytriton.restarts import RestartPolicy
from pytriton.server.config import TritonConfig
from pytriton.server.lifecycle import (
    DefaultTritonLifecyclePolicy,
    TritonLifecyclePolicy,
    VertextAILifecyclePolicy,
)
from pytriton.server.ports import local_url
from pytriton.server.remote import HttpServer, RemoteServer, ServerUrl
from pytriton.server.repository import ModelRepository
from pytriton.server.security import (
    DEFAULT_PROTECTED_ENDPOINTS,
    TRITON_ACCESS_HEADER,
    VALID_TRITON_ENDPOINTS,
    TritonSecurityConfig,
)
from pytriton.server.workspace import Workspace
from pytriton.serving.base import TritonBase
from pytriton.serving.binding import Binding
from pytriton.serving.remote_run import RemoteRun
from pytriton.serving.run import Run
from pytriton.serving.server_run import ServerRun
from pytriton.telemetry.tracing import TRACE_HEADERS, get_telemetry_tracer, is_opentelemetry

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
    "Limits",
    "RemoteTriton",
    "RestartPolicy",
    "Triton",
    "TritonBase",
    "TritonConfig",
    "TritonLifecyclePolicy",
    "TritonSecurityConfig",
    "VertextAILifecyclePolicy",
]

LOGGER = logging.getLogger(__name__)

TRITONSERVER_DIST_DIR: Final = BUNDLED_DIRECTORY
"""Directory of the bundled server; it exists only if there is one."""

_LIVE_TIMEOUT_S: Final = 5.0


class Triton(TritonBase):
    """A Triton server that this process starts, and the Python functions that it serves as models."""

    def __init__(
        self,
        *,
        config: TritonConfig | None = None,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        triton_lifecycle_policy: TritonLifecyclePolicy | None = None,
        security_config: TritonSecurityConfig | None = None,
        server: str | os.PathLike[str] | None = None,
        restart_policy: RestartPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Describe a server; nothing is started yet.

        Args:
            config: Options of the server; what it leaves out is taken from the environment.
            workspace: Directory for the server's files, which must not exist yet; a temporary one by default.
            triton_lifecycle_policy: When the server is started, and where its models lie.
            security_config: Which endpoints need a token; the administrative ones by default.
            server: A tritonserver, or the directory of a Triton installation, instead of the bundled one.
            restart_policy: How often and how soon a server that has died is started again, with the same
                models on the same ports; by default at once, and at most five times a minute.
            limits: What all models may take together, and how long they have to end.
        """
        if triton_lifecycle_policy is None:
            vertex = config is not None and config.allow_vertex_ai
            triton_lifecycle_policy = VertextAILifecyclePolicy if vertex else DefaultTritonLifecyclePolicy
        self.given_config = config or TritonConfig()
        """Options that the program itself gives."""
        self._config = layers.effective(self.given_config)
        self._security = security_config or TritonSecurityConfig()
        self._security.check()
        self._server = server
        self._restart_policy = restart_policy or RestartPolicy()
        self._limits = limits or Limits()
        super().__init__(
            local_url(self._config), workspace, triton_lifecycle_policy, self._security.access_token
        )
        self._trace_config = self._config.trace_config
        self._store: ModelRepository | None = None

    def run(self) -> None:
        """Start the server; returns when it serves all bound models."""
        with self._lock:
            self._start()
            self.connect()

    def get_access_token(self) -> str | None:
        """Token that restricted endpoints want."""
        return self._access_token

    def _note_bound(self, binding: Binding) -> None:
        if self._policy.local_model_store:
            self._workspace.ensure()
            self._store = self._store or ModelRepository(
                self._workspace.model_store_path, limits=self._limits
            )
            # The server's run gives it a socket of its own.
            self._store.add(binding.model, self._workspace.new_socket_path(), binding.worker_count)

    def _note_unbound(self, binding: Binding) -> None:
        if self._store is not None:
            self._store.remove(binding.model)

    def _launch(self) -> None:
        self.run()

    def _ready_run(self) -> Run:
        if self._run is None:
            raise PyTritonInvalidOperationError("There is no server to connect to; call run() or serve().")
        return self._run

    def _start(self) -> None:
        if self._run is not None:
            if self._run.is_alive():
                return
            self.stop()
        self._workspace.ensure()
        try:
            # The callback keeps this object alive as long as its server runs.
            run = ServerRun(
                _passing_spans_on(self._config),
                self._security,
                self._workspace,
                self._server,
                self._on_exit,
                list(self._bindings.values()) if self._policy.local_model_store else (),
                self._restart_policy,
                self._limits,
            )
        except BaseException:
            self._workspace.clean()
            raise
        finally:
            self._store = None
        self._keep(run)
        self._warn_verbose()

    def _on_exit(self) -> None:
        run = self._run
        if run is not None and (failure := run.failure()) is not None:
            LOGGER.error("%s", failure)

    def _after_stop(self) -> None:
        self._warn_verbose()
        LOGGER.info("The Triton server has stopped.")

    def _warn_verbose(self) -> None:
        if self._config.log_verbose:
            LOGGER.warning(
                "Triton Inference Server is running with enabled verbose logs (log_verbose=%d). "
                "It may affect inference performance.",
                self._config.log_verbose,
            )


class RemoteTriton(TritonBase):
    """Python functions that a Triton server of another process serves as models.

    The server and this process must run on one machine, as the same user, and see the workspace under the
    same path: they meet on Unix sockets in it and share memory. For two containers that is a common volume
    and a `PYTRITON_HOME` on it.

    Such a server is one that a `Triton` object has started, or any tritonserver 2.51 or newer with
    `--model-control-mode=explicit`. Models are loaded with its repository API, their files in the request. A
    server that has no backend of ours gets that too, and keeps a copy in memory for each load; started with
    `--backend-directory` and the directory that `python -m pytriton._native` prints, it needs none.
    """

    def __init__(
        self,
        url: str,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        access_token: str | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        """Describe where to serve; nothing is done yet.

        Args:
            url: Where the server answers: `[http://]host[:port]`, or `grpc://host[:port]`.
            workspace: Directory for sockets, which must not exist yet; a temporary one by default.
            access_token: Token that the server's model repository wants; a default `Triton` tells it with
                get_access_token().
            limits: What all models of this object may take together, and how long they have to end.
        """
        self._limits = limits or Limits()
        self._remote = _remote_server(ServerUrl.parse(url), access_token)
        super().__init__(str(self._remote.url), workspace, DefaultTritonLifecyclePolicy, access_token)

    def is_alive(self) -> bool:
        """Whether the server answers and all bound models are served."""
        run = self._run
        if run is not None and self._connected:
            return run.is_alive()
        try:
            self._remote.check_live(_LIVE_TIMEOUT_S)
        except PyTritonServerError:
            return False
        return not self._bindings

    def _launch(self) -> None:
        self.connect()

    def _ready_run(self) -> Run:
        if self._run is None:
            self._workspace.ensure()
            self._keep(RemoteRun(self._remote, self._workspace, self._limits))
        assert self._run is not None
        return self._run

    def _after_stop(self) -> None:
        LOGGER.info("The models are no longer in the server at %s.", self._remote.url)


def _passing_spans_on(config: TritonConfig) -> TritonConfig:
    """Let spans of clients come to functions that are traced here, if the server itself traces nothing."""
    if get_telemetry_tracer() is None or is_opentelemetry(config.trace_config):
        return config
    return config.over(
        TritonConfig(http_header_forward_pattern=TRACE_HEADERS, grpc_header_forward_pattern=TRACE_HEADERS)
    )


def _remote_server(url: ServerUrl, access_token: str | None) -> RemoteServer:
    if url.scheme != "grpc":
        return HttpServer(url, access_token)
    from pytriton.server.remote_grpc import GrpcServer  # not before somebody needs gRPC

    return GrpcServer(url, access_token)
