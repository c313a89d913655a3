# SPDX-License-Identifier: Apache-2.0
"""The blocking client of one model."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, TypeVar

from pytriton.client._base import BaseModelClient
from pytriton.client._flow import Flow, Transport, run
from pytriton.client._request import Call
from pytriton.client._session import Session
from pytriton.client._settings import Settings
from pytriton.client._tensors import Array
from pytriton.client.exceptions import PyTritonClientClosedError
from pytriton.client.options import InferOptions
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["ModelClient"]

Result = TypeVar("Result")


class ModelClient(BaseModelClient):
    """Asks one model over HTTP or gRPC; any number of threads may share a client.

    For example:

    with ModelClient("localhost", "Linear") as client:
        result = client.infer_batch(features)
        print(result["scores"])
    """

    _transport: Transport | None

    def infer_sample(
        self,
        *inputs: Any,
        parameters: dict[str, str | int | bool] | None = None,
        headers: dict[str, str | int | bool] | None = None,
        options: InferOptions | None = None,
        **named_inputs: Any,
    ) -> dict[str, Array]:
        """Run the model on one sample, which has no batch dimension, and return its outputs by name.

        Args:
            inputs: Arrays, or what NumPy makes arrays of, in the order of the model's inputs.
            parameters: Parameters of the request.
            headers: HTTP headers or gRPC metadata of the request.
            options: Priority, sequence, timeout and other options.
            named_inputs: Arrays by the inputs' names, instead of `inputs`.
        """
        call = Call.create(inputs, named_inputs, parameters, headers, options, is_batch=False)
        return self._run(self._session.infer(call))

    def infer_batch(
        self,
        *inputs: Any,
        parameters: dict[str, str | int | bool] | None = None,
        headers: dict[str, str | int | bool] | None = None,
        options: InferOptions | None = None,
        **named_inputs: Any,
    ) -> dict[str, Array]:
        """Run the model on a batch, along the first dimension, and return its outputs by name.

        Args:
            inputs: Arrays, or what NumPy makes arrays of, in the order of the model's inputs.
            parameters: Parameters of the request.
            headers: HTTP headers or gRPC metadata of the request.
            options: Priority, sequence, timeout and other options.
            named_inputs: Arrays by the inputs' names, instead of `inputs`.
        """
        call = Call.create(inputs, named_inputs, parameters, headers, options, is_batch=True)
        return self._run(self._session.infer(call))

    @property
    def model_config(self) -> TritonModelConfig:
        """The model's configuration; asked for at first use."""
        config = self._session.config
        return self._run(self._session.connect()) if config is None else config

    @property
    def is_batching_supported(self) -> bool:
        """Whether the model takes batches."""
        return self.model_config.max_batch_size > 0

    def wait_for_model(self, timeout_s: float) -> None:
        """Wait until the model is ready; PyTritonClientTimeoutError if that takes too long."""
        self._run(self._session.wait_for_model(timeout_s))

    def wait_for_server(self, timeout_s: float) -> None:
        """Wait until the server is ready; PyTritonClientTimeoutError if that takes too long."""
        self._run(self._session.wait_for_server(timeout_s))

    def load_model(self, config: str | None = None, files: dict[str, bytes] | None = None) -> None:
        """Have the server load the model.

        Args:
            config: Configuration in the server's JSON form, instead of the one in its repository.
            files: Contents of the model's files by name, such as "file:1/model.onnx".
        """
        self._run(self._session.load_model(config, files))

    def unload_model(self) -> None:
        """Have the server unload the model."""
        self._run(self._session.unload_model())

    def close(self) -> None:
        """Close the connections; requests that are under way fail. A second call does nothing."""
        with self._lock:
            self._closed = True
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def _start(self, settings: Settings, session: Session, lazy_init: bool) -> None:
        super()._start(settings, session, lazy_init)
        self._lock = threading.Lock()
        self._transport = None
        self._closed = False
        if not lazy_init:
            try:
                self.model_config  # noqa: B018
            except BaseException:
                self.close()
                raise

    def _run(self, flow: Flow[Result]) -> Result:
        transport = self._transport
        if transport is None:
            transport = self._open()
        return run(flow, transport)

    def _open(self) -> Transport:
        with self._lock:
            if self._closed:
                raise PyTritonClientClosedError(f"The client of {self._settings.what} is closed.")
            transport = self._transport
            if transport is None:
                transport = self._transport = _transport(self._settings)
            return transport


def _transport(settings: Settings) -> Transport:
    if settings.url.protocol == "grpc":
        from pytriton.client._grpc import GrpcTransport

        return GrpcTransport(settings)
    from pytriton.client._http import HttpTransport

    return HttpTransport(settings)
