# SPDX-License-Identifier: Apache-2.0
"""The responses to one request of a streaming model, as iterators."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import grpc

from pytriton.client._flow import Exchange
from pytriton.client._grpc import GrpcTransport
from pytriton.client._grpc_aio import AsyncGrpcTransport
from pytriton.client._grpc_wire import decode_stream
from pytriton.client._inference import StreamRequest
from pytriton.client._tensors import Array
from pytriton.client.exceptions import PyTritonClientInferenceServerError, PyTritonClientTimeoutError

__all__ = ["AsyncResponses", "Responses"]

Outputs = dict[str, Array]
Self = TypeVar("Self", bound="Responses")
_END: Any = object()


class Responses(Iterator[Outputs]):
    """Responses to one request, as they come; closing it early cancels the request on the server.

    for outputs in client.infer_sample("prompt"):
        print(outputs["token"])
    """

    def __init__(
        self,
        transport: GrpcTransport,
        request: StreamRequest,
        timeout_s: float | None,
        finish: Callable[[Outputs], Outputs],
    ) -> None:
        """Send the request.

        Args:
            transport: Connection to the server.
            request: The request; its timeout is that of each response.
            timeout_s: Time for all responses together.
            finish: What is done with each response.
        """
        self._transport = transport
        self._request = request
        self._command = command = request.command
        self._finish = finish
        self._over = True
        self._call = transport.stream(command, timeout_s)
        self._over = False
        self._alarm = _Alarm(command.timeout_s, self._call.cancel)

    def __iter__(self) -> Responses:
        return self

    def __next__(self) -> Outputs:
        if self._over:
            raise StopIteration
        try:
            with self._alarm:
                data = next(self._call, _END)
            if data is _END:
                self._request.end(complete=True)
                self.close()
                raise StopIteration
            return self._finish(_outputs(data, self._command))
        except grpc.RpcError as error:
            closed, late = self._over, self._alarm.has_rung
            self.close()
            if closed:
                raise StopIteration from None
            raise _late(self._command) if late else self._transport.failure(error, self._command) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Want no more responses; the server is told."""
        self._over = True
        self._alarm.stop()
        self._call.cancel()
        self._request.end(complete=False)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Want no more responses."""
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_over", True):
            self.close()


class AsyncResponses(AsyncIterator[Outputs]):
    """Responses to one request, as they come; closing it early cancels the request on the server.

    async for outputs in client.infer_sample("prompt"):
        print(outputs["token"])
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[tuple[AsyncGrpcTransport, StreamRequest, float | None]]],
        finish: Callable[[Outputs], Outputs],
    ) -> None:
        """Send nothing yet.

        Args:
            begin: Gives connection, request and the time for all responses, at the first iteration.
            finish: What is done with each response.
        """
        self._begin = begin
        self._finish = finish
        self._call: Any = None
        self._over = False

    def __aiter__(self) -> AsyncResponses:
        return self

    async def __anext__(self) -> Outputs:
        if self._over:
            raise StopAsyncIteration
        try:
            if self._call is None:
                self._transport, self._request, timeout_s = await self._begin()
                self._command = self._request.command
                self._call = self._transport.stream(self._command, timeout_s)
            data = await asyncio.wait_for(self._call.read(), self._command.timeout_s)
            if data is grpc.aio.EOF:
                self._over = True
                self._request.end(complete=True)
                raise StopAsyncIteration
            return self._finish(_outputs(data, self._command))
        except asyncio.TimeoutError:
            self._cancel()
            raise _late(self._command) from None
        except grpc.RpcError as error:
            self._cancel()
            raise await self._transport.failure(error, self._command) from error
        except asyncio.CancelledError as error:
            self._cancel()
            raise self._transport.closed_or(error, self._command) if self._call else error from None
        except BaseException:
            self._cancel()
            raise

    async def aclose(self) -> None:
        """Want no more responses; the server is told."""
        self._cancel()

    def _cancel(self) -> None:
        self._over = True
        if self._call is not None:
            self._call.cancel()
            self._request.end(complete=False)

    def __del__(self) -> None:
        if not getattr(self, "_over", True):
            self._cancel()


class _Alarm:
    """Calls a function when a block takes too long; one thread watches over all blocks of a stream."""

    def __init__(self, timeout_s: float, ring: Callable[[], object]) -> None:
        self._timeout_s = timeout_s
        self._ring = ring
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._idle = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.has_rung = False

    def __enter__(self) -> None:
        with self._changed:
            self._deadline = time.monotonic() + self._timeout_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="pytriton-stream", daemon=True)
                self._thread.start()
            elif self._idle:
                self._changed.notify()

    def __exit__(self, *_: object) -> None:
        self._deadline = None

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                deadline = self._deadline
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    self.has_rung = True
                    break
                self._idle = deadline is None
                self._changed.wait(left)
            else:
                return
        self._ring()


def _outputs(data: bytes, command: Exchange) -> Outputs:
    error, outputs = decode_stream(data, command.what)
    if error:
        raise PyTritonClientInferenceServerError(f"{command.what}: {error}")
    return outputs


def _late(command: Exchange) -> PyTritonClientTimeoutError:
    return PyTritonClientTimeoutError(
        f"{command.what}: Timeout while waiting for model to return the next response, "
        f"which did not come within {command.timeout_s:.3g} s."
    )
