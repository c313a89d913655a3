# SPDX-License-Identifier: Apache-2.0
"""What the asyncio clients have in common."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Generic, TypeVar

from pytriton.client._base.client import BaseModelClient
from pytriton.client._core.flow import Flow
from pytriton.client._core.flow_aio import AsyncTransport, run_async
from pytriton.client._core.session import Session
from pytriton.client._core.settings import Settings
from pytriton.client._transports import async_transport_type
from pytriton.client.exceptions import PyTritonClientClosedError
from pytriton.client.options import InferOptions
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["AsyncClient"]

Answer = TypeVar("Answer")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="AsyncClient[Any]")


class AsyncClient(BaseModelClient, Generic[Answer]):
    """What the asyncio clients have in common."""

    _LIBRARIES: ClassVar[Mapping[str, str]] = {
        "http": "tritonclient.http.aio",
        "grpc": "tritonclient.grpc.aio",
    }

    _transport: AsyncTransport | None
    _loop: asyncio.AbstractEventLoop | None
    _connecting: asyncio.Task[TritonModelConfig] | None
    _ended: asyncio.Event

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
        return self._infer(inputs, named_inputs, parameters, headers, options, is_batch=False)

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
        return self._infer(inputs, named_inputs, parameters, headers, options, is_batch=True)

    @property
    def model_config(self) -> Awaitable[TritonModelConfig]:
        """The model's configuration, to be awaited; asked for at first use.

        Raises:
            PyTritonClientTimeoutError: No server within init_timeout_s, or no such model.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        return self._model_config()

    async def wait_for_model(self, timeout_s: float) -> None:
        """Wait until the model is ready.

        Args:
            timeout_s: Seconds to wait.

        Raises:
            PyTritonClientTimeoutError: It takes longer.
            PyTritonClientInferenceServerError: The server answered with an error that does not pass.
            PyTritonClientClosedError: The client is closed.
        """
        await self._run(self._session.wait_for_model(timeout_s))

    async def wait_for_server(self, timeout_s: float) -> None:
        """Wait until the server is ready.

        Args:
            timeout_s: Seconds to wait.

        Raises:
            PyTritonClientTimeoutError: It takes longer.
            PyTritonClientInferenceServerError: The server answered with an error that does not pass.
            PyTritonClientClosedError: The client is closed.
        """
        await self._run(self._session.wait_for_server(timeout_s))

    async def load_model(self, config: str | None = None, files: dict[str, bytes] | None = None) -> None:
        """Have the server load the model.

        Args:
            config: Configuration in the server's JSON form, instead of the one in its repository.
            files: Contents of the model's files by name, such as "file:1/model.onnx".

        Raises:
            PyTritonClientTimeoutError: No connection, or no answer in time.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        await self._run(self._session.load_model(config, files))

    async def unload_model(self) -> None:
        """Have the server unload the model.

        Raises:
            PyTritonClientTimeoutError: No connection, or no answer in time.
            PyTritonClientInferenceServerError: The server answered with an error.
            PyTritonClientClosedError: The client is closed.
        """
        await self._run(self._session.unload_model())

    async def close(self) -> None:
        """Close the connections; requests that are under way fail. A second call does nothing."""
        self._closed = True
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._loop is asyncio.get_running_loop():
            self._ended.set()
            if self._connecting is not None:
                self._connecting.cancel()
            try:
                if self._session.inference.memory is not None:
                    await run_async(self._session.inference.memory.end(), transport)
            finally:
                await transport.close()
        else:
            transport.abandon()

    async def __aenter__(self: Self) -> Self:
        """Ask for the model's configuration, unless that shall be done at first use."""
        if not self._lazy_init:
            try:
                await self._ready()
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.close()

    def _infer(
        self, inputs: Any, named: Any, parameters: Any, headers: Any, options: Any, *, is_batch: bool
    ) -> Answer:
        raise NotImplementedError

    def _start(self, settings: Settings, session: Session, lazy_init: bool) -> None:
        super()._start(settings, session, lazy_init)
        self._transport = None
        self._loop = None
        self._connecting = None
        self._closed = False

    async def _model_config(self) -> TritonModelConfig:
        config = self._session.config
        return await self._connect() if config is None else config

    async def _run(self, flow: Flow[Result]) -> Result:
        return await run_async(flow, self._open(), self._pause)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def _open(self) -> AsyncTransport:
        if self._closed:
            raise PyTritonClientClosedError(f"The client of {self._settings.what} is closed.")
        loop = asyncio.get_running_loop()
        transport = self._transport
        if transport is None or loop is not self._loop:
            # Connections belong to their event loop; a client may live to see several, one after the other.
            if transport is not None:
                transport.abandon()
            transport = self._transport = async_transport_type(self._settings)(self._settings)
            self._loop, self._connecting, self._ended = loop, None, asyncio.Event()
        return transport

    async def _ready(self) -> None:
        """Get to know the model, if that is still to be done; and fail if the client is closed."""
        self._open()
        if not self._session.is_ready:
            await self._connect()

    async def _connect(self) -> TritonModelConfig:
        # One task asks, and all that come meanwhile get what it gets, whoever of them is cancelled.
        self._open()
        connecting = self._connecting
        if connecting is None:
            connecting = asyncio.create_task(self._run(self._session.connect()))
            connecting.add_done_callback(self._connected)
            self._connecting = connecting
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if self._closed and connecting.cancelled():
                raise PyTritonClientClosedError(f"The client of {self._settings.what} is closed.") from None
            raise

    def _connected(self, task: asyncio.Task[TritonModelConfig]) -> None:
        if self._connecting is task:
            self._connecting = None
        if not task.cancelled():
            task.exception()  # whoever still waits for it has it
