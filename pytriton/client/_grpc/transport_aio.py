# SPDX-License-Identifier: Apache-2.0
"""gRPC for asyncio."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import grpc
import grpc.aio

from pytriton.client._core.failures import late
from pytriton.client._core.flow import LONGEST_S, Exchange
from pytriton.client._core.flow_aio import is_being_cancelled
from pytriton.client._core.settings import Settings
from pytriton.client._grpc.transport import (
    channel_credentials,
    channel_options,
    compression_of,
    metadata_of,
    translated,
)
from pytriton.client._grpc.wire import decode, decode_response, encode, method_of
from pytriton.client.exceptions import PyTritonClientClosedError
from pytriton.client.options import Tls

__all__ = ["AsyncGrpcTransport"]


class AsyncGrpcTransport:
    """A channel to one server for the tasks of one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._target = settings.target
        self._calls: dict[str, Any] = {}
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        address, options = settings.url.without_scheme, channel_options()
        if settings.url.is_encrypted:
            credentials = channel_credentials(settings.tls or Tls())
            self._channel = grpc.aio.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.aio.insecure_channel(address, options)

    async def exchange(self, command: Exchange) -> Any:
        """Send an operation and wait for its result."""
        operation = command.operation
        method = method_of(operation)
        call = self._calls.get(method)
        if call is None:
            call = self._calls[method] = self._channel.unary_unary(method)
        request = encode(operation)
        try:
            data = await call(
                request,
                timeout=command.timeout_s,
                metadata=metadata_of(command.headers),
                compression=compression_of(operation),
            )
        except asyncio.CancelledError as error:
            raise self.closed_or(error, command) from None
        except (grpc.RpcError, grpc.aio.UsageError, ValueError, TypeError) as error:
            raise await self.failure(error, command) from error
        return decode(operation, data, command.what)

    async def stream(self, command: Exchange, timeout_s: float | None) -> _StreamCall:
        """Send a request whose responses are read one by one, within `timeout_s` all together."""
        call = self._channel.stream_stream(method_of(command.operation, streaming=True))(
            iter((encode(command.operation),)),
            timeout=None if timeout_s is None else min(timeout_s, LONGEST_S),
            metadata=metadata_of(command.headers),
            compression=compression_of(command.operation),
        )
        self._streams.add(call)
        return _StreamCall(self, call, command)

    async def failure(self, error: Exception, command: Exchange) -> Exception:
        """The exception of ours for one of gRPC's."""
        if self._closed:
            return _closed(command)
        # It may look at the port itself, which blocks for a moment.
        return await asyncio.to_thread(translated, error, command, self._target)

    def closed_or(self, error: asyncio.CancelledError, command: Exchange) -> BaseException:
        """The cancellation, or what it means if gRPC did it because the channel was closed."""
        # gRPC cancels calls when its channel is closed; tasks that are cancelled stay cancelled.
        if self._closed and not is_being_cancelled():
            return _closed(command)
        return error

    async def close(self) -> None:
        """Close the channel; calls that are under way fail."""
        self._closed = True
        # Closing the channel alone does not tell the server of streams that nobody reads just now.
        for call in list(self._streams):
            call.cancel()
        await self._channel.close()

    def abandon(self) -> None:
        """Give up a channel whose event loop has ended."""
        self._closed = True


class _StreamCall:
    """A call whose every response must come in time."""

    def __init__(self, transport: AsyncGrpcTransport, call: Any, command: Exchange) -> None:
        self._transport = transport
        self._call = call
        self._command = command

    async def read(self) -> dict[str, Any] | None:
        """The outputs of the next response; None if there are no more."""
        try:
            data = await asyncio.wait_for(self._call.read(), self._command.timeout_s)
        except asyncio.TimeoutError:
            raise late(self._command) from None
        except grpc.RpcError as error:
            raise await self._transport.failure(error, self._command) from error
        except asyncio.CancelledError as error:
            raise self._transport.closed_or(error, self._command) from None
        return None if data is grpc.aio.EOF else decode_response(data, self._command.what)

    def cancel(self) -> None:
        """Want no more; the server is told."""
        self._call.cancel()


def _closed(command: Exchange) -> PyTritonClientClosedError:
    return PyTritonClientClosedError(f"{command.what}: the client was closed while a request was under way.")
