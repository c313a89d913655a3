# SPDX-License-Identifier: Apache-2.0
"""What objects that serve functions have in common: what is bound, and the server while there is one."""

from __future__ import annotations

import abc
import logging
import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar

from pytriton.batching.triton_context import TritonContext, share_context
from pytriton.constants import MONITORING_PERIOD_S
from pytriton.exceptions import PyTritonInvalidOperationError
from pytriton.limits import DRAIN_TIMEOUT_S
from pytriton.logs import configure_from_environment
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.server.lifecycle import DefaultTritonLifecyclePolicy, TritonLifecyclePolicy
from pytriton.server.ports import Endpoint
from pytriton.server.workspace import Workspace
from pytriton.serving import at_exit
from pytriton.serving.binding import Binding, bind_model
from pytriton.serving.functions import InferFunction
from pytriton.serving.importing import refuse_while_importing
from pytriton.serving.interruption import ended_by_signals, interrupted_by_signals
from pytriton.serving.run import Run
from pytriton.workers import WorkerProcesses, WorkerStatus

__all__ = ["TritonBase"]

LOGGER = logging.getLogger("pytriton.triton")

_Self = TypeVar("_Self", bound="TritonBase")


class TritonBase(abc.ABC):
    """Python functions that a Triton server serves as models."""

    def __init__(
        self,
        url: str,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        triton_lifecycle_policy: TritonLifecyclePolicy = DefaultTritonLifecyclePolicy,
        access_token: str | None = None,
    ) -> None:
        """Describe what will serve; nothing is started yet.

        Args:
            url: Where the server answers.
            workspace: Directory for files, which must not exist yet; a temporary one by default.
            triton_lifecycle_policy: When the server is started, and where its models lie.
            access_token: Token that restricted endpoints of the server want.
        """
        configure_from_environment()
        self._url = url
        self._policy = triton_lifecycle_policy
        self._access_token = access_token
        self._workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._bindings: dict[tuple[str, int], Binding] = {}
        self._run: Run | None = None
        self._connected = False
        self._trace_config: list[str] | None = None
        self._context = TritonContext()

    @abc.abstractmethod
    def _launch(self) -> None:
        """Let there be a server that serve() can use."""

    @abc.abstractmethod
    def _ready_run(self) -> Run:
        """The server that connect() shall load models into."""

    def _note_bound(self, binding: Binding) -> None:  # noqa: B027
        """Called when a model is bound that no server serves yet."""

    def _note_unbound(self, binding: Binding) -> None:  # noqa: B027
        """Called when a model is unbound that no server serves."""

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
        *,
        replace: bool = False,
        workers: WorkerProcesses | None = None,
    ) -> None:
        """Serve a function as a model: at once if the server runs, else when it is started.

        Args:
            model_name: Name in requests: letters, digits, dots, underscores and dashes.
            infer_func: Function that takes a list of requests, or one under a decorator such as @batch;
                several of them serve the model side by side.
            inputs: Inputs of the model.
            outputs: Outputs of the model.
            model_version: Version of the model; all versions have the same configuration.
            config: Batching and other options.
            strict: Whether outputs are checked against `outputs` to the letter.
            trace_config: Settings of tracing, instead of those in TritonConfig.
            replace: Whether to take the place of what is bound under this name and version. The old function
                answers the requests that it has, the new one those that come; none is refused.
            workers: Processes that run the function, or each make one of the class or factory that is given
                as `infer_func`; without it functions run in threads of this process.
        """
        binding = bind_model(model_name, infer_func, inputs, outputs, model_version, config, strict, workers)
        share_context(self._context, binding.functions)
        binding.trace(self._trace_config if trace_config is None else trace_config)
        with self._lock:
            old = self._bindings.get(binding.key)
            if old is not None and replace:
                _check_caller(old, "bind(replace=True)")
            if old is not None and (not replace or old.name != binding.name):
                raise PyTritonInvalidOperationError(
                    "Cannot add model with the same name twice. "
                    f'Model "{model_name}" version {model_version} is bound already (case does not count); '
                    "unbind it first, or bind with replace=True under the very same name."
                )
            for other in self._bindings.values():
                if other.name == binding.name and other is not old:
                    binding.check_beside(other)
            run = self._run if self._connected else None
            try:
                self._serve_bound(run, old, binding)
            finally:
                if run is None or binding in run.bindings:
                    self._bindings[binding.key] = binding
                    self._publish()
        # Nobody else has to wait for the requests that the old function has.
        if run is not None and old is not None:
            run.release(old)

    def scale(self, model_name: str, count: int, model_version: int = 1) -> None:
        """Serve a model by another number of worker processes; returns when they are ready, or have gone.

        Those that go answer what they hold first, for as long as stop() would wait.

        Args:
            model_name: Its name; it was bound with `workers`.
            count: Number of processes.
            model_version: Its version.
        """
        binding, run = self._bound(model_name, model_version), self._run

        def set_instances() -> None:
            with self._lock:
                if self._run is not None and self._connected and binding in self._run.bindings:
                    self._run.set_instances(binding)

        # Without the lock: stop() must not have to wait until a model is made.
        binding.scale(count, set_instances, DRAIN_TIMEOUT_S if run is None else run.drain_timeout_s)

    def workers(self, model_name: str, model_version: int = 1) -> list[WorkerStatus]:
        """The worker processes of a model that is served."""
        return self._bound(model_name, model_version).processes

    def unbind(self, model_name: str, model_version: int = 1) -> None:
        """Serve a model no longer: requests that it has are answered, for as long as stop() would wait.

        Args:
            model_name: Its name.
            model_version: Its version; others stay.
        """
        with self._lock:
            binding = self._bound(model_name, model_version)
            _check_caller(binding, "unbind()")
            run = self._run if self._connected else None
            if run is not None:
                run.unload(binding)
            else:
                self._note_unbound(binding)
            del self._bindings[binding.key]
            self._publish()
        if run is not None:
            run.release(binding)

    def connect(self) -> None:
        """Load the bound models into the server; does nothing when that is done."""
        with self._lock:
            run = self._ready_run()
            if self._connected:
                return
            bindings = list(self._bindings.values())
            try:
                run.load([binding for binding in bindings if binding not in run.bindings])
            except BaseException:
                self.stop()
                raise
            if self._run is run:  # else a signal handler of the program has called stop()
                self._connected = True
                run.log_models(bindings)
                LOGGER.info("Press Ctrl-C or use the command `kill -SIGINT %d` to end.", os.getpid())

    def serve(self, monitoring_period_s: float = MONITORING_PERIOD_S) -> None:
        """Serve until Ctrl-C, SIGTERM or stop() in another thread; raise if the server or a model fails.

        If one has failed since run(), that is raised; run() itself would start anew.

        Args:
            monitoring_period_s: How often, at the latest, the health of server and models is looked at.
        """
        refuse_while_importing()
        with interrupted_by_signals():
            try:
                with self._lock:
                    if not self._connected:  # what has died since is told, not started anew
                        self._launch()
                self._wait(monitoring_period_s)
            except KeyboardInterrupt as interrupt:
                LOGGER.info("%s received, stopping.", "SIGTERM" if interrupt.args else "SIGINT")
            finally:
                with ended_by_signals():
                    self.stop()

    def stop(self) -> bool:
        """Answer requests in flight, serve no longer, remove all files; False if nothing was served.

        In a function that is served it returns at once: the request of the function is to be answered, too.
        """
        if os.getpid() != self._owner:  # the server belongs to the process that forked this one
            return False
        run = self._run
        if run is not None:
            run.ended.set()
            if any(binding.is_calling() for binding in list(run.bindings)):
                threading.Thread(target=self.stop, name="pytriton-stop").start()
                return True
        with self._lock:
            run, self._run = self._run, None
            self._connected = False
            at_exit.stopped(self)
            try:
                if run is not None:
                    run.stop()
            finally:
                self._workspace.clean()
            if run is None:
                return False
        self._after_stop()
        return True

    @property
    def models(self) -> list[TritonModelConfig]:
        """The models that are bound, in the order of binding."""
        return [binding.model for binding in self.bindings]

    @property
    def bindings(self) -> list[Binding]:
        """What is bound, in the order of binding."""
        return list(self._bindings.values())

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the server takes requests; empty until it runs."""
        run = self._run
        return [] if run is None else list(run.endpoints)

    def is_alive(self) -> bool:
        """Whether the server and all models run."""
        run = self._run
        return run is not None and run.is_alive()

    def is_connected(self) -> bool:
        """Whether the bound models are served."""
        return self._connected

    def __enter__(self: _Self) -> _Self:
        """Begin to serve, if the policy says so."""
        if self._policy.launch_triton_on_startup:
            self._launch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _serve_bound(self, run: Run | None, old: Binding | None, binding: Binding) -> None:
        if run is None:
            self._note_bound(binding)
            return
        if old is None:
            run.load([binding])
        else:
            run.replace(old, binding)
            if binding.model.response_cache is not None:
                LOGGER.warning(
                    'model "%s": the response cache knows nothing of the new function; to requests that it '
                    "has seen it goes on giving the answers of the old one.",
                    binding.name,
                )
        run.log_models([binding])

    def _publish(self) -> None:
        self._context.model_configs.publish(
            (function, binding.model) for binding in self._bindings.values() for function in binding.functions
        )

    def _bound(self, model_name: str, model_version: int) -> Binding:
        binding = self._bindings.get((model_name.lower(), int(model_version)))
        if binding is None or binding.name != model_name:
            labels = ["{} version {}".format(*other.label) for other in self._bindings.values()]
            raise PyTritonInvalidOperationError(
                f'Model "{model_name}" version {model_version} is not bound. '
                f"Bound are: {', '.join(labels) or 'none'}."
            )
        return binding

    def _keep(self, run: Run) -> None:
        """Take a server over; it is stopped when the interpreter ends, if it has not been before."""
        self._run = run
        at_exit.stop_at_exit(self)

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

    @abc.abstractmethod
    def _after_stop(self) -> None:
        """Called when what was served no longer is."""


def _check_caller(binding: Binding, call: str) -> None:
    if binding.is_calling():
        raise PyTritonInvalidOperationError(
            f'model "{binding.name}": {call} in the function of the model itself would wait for the request '
            "that the function has not answered; call it in another thread."
        )
