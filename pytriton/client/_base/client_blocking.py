# SPDX-License-Identifier: Apache-2.0
"""What the blocking clients have in common."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, TypeVar

from pytriton.client._base.client import BaseModelClient
from pytriton.client._core.flow import Flow, Transport, run
from pytriton.client._core.request import Call
from pytriton.client._core.session import Session
from pytriton.client._core.settings import Settings
from pytriton.client._threads.abort import current_abort
from pytriton.client._threads.forks import renew_after_fork
from pytriton.client._threads.pauses import Pauses
from pytriton.client._transports import transport_type
from pytriton.client.exceptions import PyTritonClientAbortedError, PyTritonClientClosedError
from pytriton.client.options import InferOptions
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["BlockingClient"]

Answer = TypeVar("Answer")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="BlockingClient[Any]")


class BlockingClient(BaseModelClient, Generic[Answer]):
    """What the blocking clients have in common."""

    _transport: Transport | None
    _connecting: Future[TritonModelConfig] | None

    def infer_sample(
        self,
        *inputs: Any,
        parameters: Mapping[str, str | int | float | bool] | None = None,
        headers: Mapping[str, str | int | float | bool] | None = None,
        options: InferOptions | None = None,
        **named_inputs: Any,
    ) -> Answer:
        """Run the model on one sample, which has no batch dimension; outputs are by name.

        Args:
            inputs: Arrays of the shapes of the model's inputs, in their order, or what NumPy makes arrays of.
            parameters: Parameters of the request, which the function sees.
            headers: HTTP headers or gRPC metadata of the request.
            options: Timeout, priority, sequence, wanted outputs and more: an InferOptions.
            named_inputs: Arrays by the inputs' names, instead of `inputs`.

        Raises:
            PyTritonClientValueError: The inputs, parameters, headers or options do not fit; nothing was sent.
            PyTritonClientTimeoutError: No connection, no such model, or no answer in time.
            PyTritonClientInferenceServerError: The server answered with an error, or not as Triton does.
            PyTritonClientSharedMemoryError: shared_memory="always", and it cannot be used.
            PyTritonClientClosedError: The client is closed.
        """
        return self._infer(Call.create(inputs, named_inputs, parameters, headers, options, is_batch=False))

    def infer_batch(
        self,
        *inputs: Any,
        parameters: Mapping[str, str | int | float | bool] | None = None,
        headers: Mapping[str, str | int | float | bool] | None = None,
        options: InferOptions | None = None,
        **named_inputs: Any,
    ) -> Answer:
        """Run the model on a batch, along the first dimension; outputs are by name.

        Args:
            inputs: Arrays of the shapes of the model's inputs, in their order, behind the batch dimension.
            parameters: Parameters of the request, which the function sees.
            headers: HTTP headers or gRPC metadata of the request.
            options: Timeout, priority, sequence, wanted outputs and more: an InferOptions.
            named_inputs: Arrays by the inputs' names, instead of `inputs`.

        Raises:
            PyTritonClientValueError: The inputs, parameters, headers or options do not fit; nothing was sent.
            PyTritonClientModelDoesntSupportBatchingError: The model takes no batches; use infer_sample.
            PyTritonClientTimeoutError: No connection, no such model, or no answer in time.
            PyTritonClientInferenceServerError: The server answered with an error, or not as Triton does.
            PyTritonClientSharedMemoryError: shared_memory="always", and it cannot be used.
            PyTritonClientClosedError: The client is closed.
        """
        return self._infer(Call.create(inputs, named_inputs, parameters, headers, options, is_batch=True))

    @property
    def model_config(self) -> TritonModelConfig:
        """The model's configuration; asked for at first use.

        Raises:
            PyTritonClientTimeoutError: No server within init_timeout_s, or no such model.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        config = self._session.config
        return self._connect() if config is None else config

    @property
    def is_batching_supported(self) -> bool:
        """Whether the model takes batches.

        Raises:
            PyTritonClientTimeoutError: No server within init_timeout_s, or no such model.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        return self.model_config.max_batch_size > 0

    def wait_for_model(self, timeout_s: float) -> None:
        """Wait until the model is ready.

        Args:
            timeout_s: Seconds to wait.

        Raises:
            PyTritonClientTimeoutError: It takes longer.
            PyTritonClientInferenceServerError: The server answered with an error that does not pass.
            PyTritonClientClosedError: The client is closed.
        """
        self._run(self._session.wait_for_model(timeout_s))

    def wait_for_server(self, timeout_s: float) -> None:
        """Wait until the server is ready.

        Args:
            timeout_s: Seconds to wait.

        Raises:
            PyTritonClientTimeoutError: It takes longer.
            PyTritonClientInferenceServerError: The server answered with an error that does not pass.
            PyTritonClientClosedError: The client is closed.
        """
        self._run(self._session.wait_for_server(timeout_s))

    def load_model(self, config: str | None = None, files: dict[str, bytes] | None = None) -> None:
        """Have the server load the model.

        Args:
            config: Configuration in the server's JSON form, instead of the one in its repository.
            files: Contents of the model's files by name, such as "file:1/model.onnx".

        Raises:
            PyTritonClientTimeoutError: No connection, or no answer in time.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        self._run(self._session.load_model(config, files))

    def unload_model(self) -> None:
        """Have the server unload the model.

        Raises:
            PyTritonClientTimeoutError: No connection, or no answer in time.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        self._run(self._session.unload_model())

    def close(self) -> None:
        """Close the connections; requests that are under way fail. A second call does nothing."""
        with self._lock:
            self._closed = True
            transport, self._transport = self._transport, None
        self._pauses.end()
        if transport is not None:
            try:
                if self._session.inference.memory is not None:
                    run(self._session.inference.memory.end(), transport)
            finally:
                transport.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def _after_fork(self) -> None:
        """Begin with a lock of one's own; a thread of the parent may have held it."""
        self._lock = threading.Lock()
        self._connecting = None
        self._pauses = Pauses()

    def _infer(self, call: Call) -> Answer:
        raise NotImplementedError

    def _start(self, settings: Settings, session: Session, lazy_init: bool) -> None:
        super()._start(settings, session, lazy_init)
        self._transport = None
        self._closed = False
        # Not at first use: a child that is forked during an import waits for that module for ever.
        self._transport_type = transport_type(settings)
        self._after_fork()
        renew_after_fork(self)
        if not lazy_init and session.config is None:
            try:
                self._connect()
            except BaseException:
                self.close()
                raise

    def _run(self, flow: Flow[Result]) -> Result:
        transport = self._transport
        return run(flow, self._open() if transport is None else transport, self._pauses.pause)

    def _open(self) -> Transport:
        with self._lock:
            if self._closed:
                raise PyTritonClientClosedError(f"The client of {self._settings.what} is closed.")
            transport = self._transport
            if transport is None:
                transport = self._transport = self._transport_type(self._settings)
            return transport

    def _ready(self) -> None:
        """Get to know the model, if that is still to be done; and fail if the client is closed."""
        if self._transport is None:
            self._open()
        if not self._session.is_ready:
            self._connect()

    def _connect(self) -> TritonModelConfig:
        # One thread asks, and those that come meanwhile get what it gets.
        while True:
            try:
                return self._connect_together()
            except _LeaderAborted:
                continue

    def _connect_together(self) -> TritonModelConfig:
        with self._lock:
            connecting = self._connecting
            leads = connecting is None
            if connecting is None:
                connecting = self._connecting = Future()
        if leads:
            try:
                connecting.set_result(self._run(self._session.connect()))
            except Exception as error:
                connecting.set_exception(error)
            except BaseException:
                connecting.set_exception(
                    PyTritonClientClosedError(
                        f"{self._settings.what}: the thread that connected was interrupted."
                    )
                )
                raise
            finally:
                self._connecting = None
        if not leads:
            _wait_for(connecting)
            if isinstance(connecting.exception(), PyTritonClientAbortedError):
                raise _LeaderAborted
        return connecting.result()


class _LeaderAborted(Exception):
    """The thread that asked was told to stop; somebody else must ask."""


def _wait_for(connecting: Future[Any]) -> None:
    abort = current_abort()
    if abort is None:
        connecting.exception()
        return
    changed = threading.Event()
    connecting.add_done_callback(lambda _: changed.set())
    with abort.waiting(changed.set):
        changed.wait()
    abort.check()
