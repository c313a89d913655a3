# SPDX-License-Identifier: Apache-2.0
"""Blocking gRPC."""

from __future__ import annotations

import contextlib
import importlib
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

import grpc

from pytriton.client._core import failures
from pytriton.client._core import operations as ops
from pytriton.client._core.flow import LONGEST_S, Exchange
from pytriton.client._core.settings import Settings
from pytriton.client._core.url import TritonUrl
from pytriton.client._grpc.stream import GrpcStreamCall
from pytriton.client._grpc.wire import decode, encode, method_of
from pytriton.client._threads.abort import Abort, current_abort
from pytriton.client._threads.forks import renew_after_fork
from pytriton.client.exceptions import (
    PyTritonClientAbortedError,
    PyTritonClientClosedError,
    PyTritonClientError,
    PyTritonClientValueError,
)
from pytriton.client.options import Tls

__all__ = [
    "GrpcTransport",
    "channel_credentials",
    "channel_options",
    "compression_of",
    "metadata_of",
    "translated",
]

with contextlib.suppress(ImportError):
    # gRPC imports it when it makes a channel; see BlockingClient for why that may be too late.
    importlib.import_module("grpc._channel")

_ANY_SIZE: Final = 2**31 - 1


class GrpcTransport:
    """A channel to one server, shared by any number of threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._calls: dict[str, Any] = {}
        self._parents: list[Any] = []
        self._opened: Any = None
        self._closed = False
        renew_after_fork(self)

    def exchange(self, command: Exchange) -> Any:
        """Send an operation and wait for its result."""
        operation = command.operation
        method, request = method_of(operation), encode(operation)
        try:
            call = self._calls.get(method)
            if call is None:
                call = self._calls[method] = self._channel().unary_unary(method)
            abort = current_abort()
            data = (call if abort is None else _interruptible(call, abort))(
                request,
                timeout=command.timeout_s,
                metadata=metadata_of(command.headers),
                compression=compression_of(operation),
            )
        except (grpc.RpcError, ValueError) as error:
            raise self.failure(error, command) from error
        return decode(operation, data, command.what)

    def stream(self, command: Exchange, timeout_s: float | None) -> GrpcStreamCall:
        """Send a request whose responses are read one by one, within `timeout_s` all together."""
        request = encode(command.operation)
        try:
            call = self._channel().stream_stream(method_of(command.operation, streaming=True))(
                iter((request,)),
                timeout=None if timeout_s is None else min(timeout_s, LONGEST_S),
                metadata=metadata_of(command.headers),
                compression=compression_of(command.operation),
            )
        except ValueError as error:  # the channel is closed
            raise self.failure(error, command) from error
        return GrpcStreamCall(call, command, self.failure)

    def failure(self, error: Exception, command: Exchange) -> Exception:
        """The exception of ours for one of gRPC's."""
        if self._closed:
            return PyTritonClientClosedError(f"{command.what}: the client is closed.")
        return translated(error, command, self._settings.target)

    def close(self) -> None:
        """Close the channel; calls that are under way fail."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if self._opened is not None:
                    self._opened.close()

    def _after_fork(self) -> None:
        """The channel is the parent's; it is kept but not used, for to end it would touch its threads."""
        self._lock = threading.Lock()
        self._calls = {}
        self._parents.append(self._opened)
        self._opened = None

    def _open(self) -> None:
        url, options = self._settings.url, channel_options()
        if url.is_encrypted:
            credentials = channel_credentials(self._settings.tls or Tls())
            self._opened = grpc.secure_channel(url.without_scheme, credentials, options)
        else:
            self._opened = grpc.insecure_channel(url.without_scheme, options)

    def _channel(self) -> grpc.Channel:
        if self._opened is None:
            with self._lock:
                if self._closed:
                    raise ValueError("the client is closed")
                if self._opened is None:
                    self._open()
        return self._opened


def _interruptible(call: Any, abort: Abort) -> Callable[..., bytes]:
    """A call that another thread can end."""

    def run(*arguments: Any, **options: Any) -> bytes:
        under_way = call.future(*arguments, **options)
        try:
            with abort.waiting(under_way.cancel):
                data: bytes = under_way.result()
                return data
        except PyTritonClientAbortedError:  # asked for before there was anything to wait for
            under_way.cancel()
            raise
        except grpc.FutureCancelledError:
            abort.check()
            raise

    return run


def channel_options() -> list[tuple[str, Any]]:
    """Messages of any size, and quick attempts to reach a server that comes back."""
    return [
        ("grpc.max_send_message_length", _ANY_SIZE),
        ("grpc.max_receive_message_length", _ANY_SIZE),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A client's connection is its own: others with the same address may be closed.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def channel_credentials(tls: Tls) -> Any:
    """The certificates as gRPC wants them."""
    contents = tls.contents()
    return grpc.ssl_channel_credentials(
        contents["ca_file"], contents["key_file"], contents["certificate_file"]
    )


def metadata_of(headers: Any) -> list[tuple[str, str]]:
    """Headers as gRPC wants them: names are in lower case."""
    metadata = [(name.lower(), value) for name, value in headers.items()]
    for name, _ in metadata:
        if name.endswith("-bin"):
            raise PyTritonClientValueError(
                f"headers: values of names that end in -bin are bytes to gRPC, and {name!r} has a text; "
                "choose another name."
            )
    return metadata


def compression_of(operation: ops.Operation) -> Any:
    """How a request is compressed."""
    name = operation.compression if isinstance(operation, ops.Infer) else None
    if name is None:
        return None
    return grpc.Compression.Gzip if name == "gzip" else grpc.Compression.Deflate


def translated(error: Any, command: Exchange, target: str) -> PyTritonClientError:
    """The exception of ours for one of gRPC's."""
    code = getattr(error, "code", None)
    if code is None:
        if "close" in str(error).lower():
            return PyTritonClientClosedError(f"{command.what}: {error}.")
        return PyTritonClientValueError(f"{command.what}: gRPC does not take the request: {error}.")
    details = error.details() or ""
    if details == "Invalid metadata":
        return PyTritonClientValueError(f"{command.what}: headers: gRPC takes none but visible ASCII.")
    if "failed to connect" in details and "Socket closed" in details and speaks_http1(target):
        return failures.wrong_port(command.what, target)
    return failures.from_grpc_status(error.code().name, details, command.what, target)


def speaks_http1(target: str) -> bool:
    """Whether the server that hung up on gRPC answers HTTP/1.1, which gRPC itself does not tell."""
    url = TritonUrl.from_url(target)
    try:
        with socket.create_connection((url.hostname, url.port), timeout=1.0) as connection:
            connection.sendall(b"OPTIONS / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
