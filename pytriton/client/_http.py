# SPDX-License-Identifier: Apache-2.0
"""Blocking HTTP: a pool of connections of http.client, which costs half of what larger libraries do."""

from __future__ import annotations

import collections
import contextlib
import http.client
import os
import select
import socket
import threading
import time
from typing import Any, Final

from pytriton.client import _failures
from pytriton.client import _operations as ops
from pytriton.client._flow import Exchange
from pytriton.client._http_body import body_buffer, compressed, decompressed, message_of
from pytriton.client._settings import Settings
from pytriton.client._wire import HttpReply, HttpRequest, decode, encode
from pytriton.client.exceptions import PyTritonClientClosedError

__all__ = ["HttpTransport"]

_IDLE_CONNECTIONS: Final = 128
_CHUNK: Final = 1 << 20


class HttpTransport:
    """Connections to one server, shared by any number of threads: each request has one to itself."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        self.target = settings.target
        """The server, in messages."""
        self.host = settings.url.without_scheme
        """Its name and port, as requests say it."""
        self._tls = (settings.tls or _default_tls()).context() if settings.url.is_encrypted else None
        self._idle: collections.deque[http.client.HTTPConnection] = collections.deque()
        self._busy: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._closed = False

    def exchange(self, command: Exchange) -> Any:
        """Send an operation and wait for its result."""
        request = encode(command.operation)
        compression = command.operation.compression if isinstance(command.operation, ops.Infer) else None
        with _Attempt(self, command, compressed(request, compression)) as attempt:
            reply = attempt.reply()
        return decode(command.operation, reply, command.what)

    def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        with self._lock:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
        for connection in idle:
            connection.close()
        for connection in busy:
            # Its own thread closes it; this only ends its waiting.
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    @property
    def is_closed(self) -> bool:
        """Whether close() has been called."""
        return self._closed

    def take(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection that nobody else uses."""
        with self._lock:
            if self._closed:
                raise PyTritonClientClosedError(f"The client of {self.target} is closed.")
            if self._owner != os.getpid():
                # After a fork the connections are the parent's; to close our copies of them ends none.
                self._owner = os.getpid()
                for inherited in (*self._idle, *self._busy):
                    inherited.close()
                self._idle.clear()
                self._busy.clear()
            while self._idle:
                connection = self._idle.pop()
                if not _is_readable(connection.sock):
                    self._busy.add(connection)
                    return connection
                connection.close()  # by the server; an idle connection has nothing to say else
            connection = self._new(timeout_s)
            self._busy.add(connection)
            return connection

    def give_back(self, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        """Keep a connection for the next request, or close it."""
        with self._lock:
            self._busy.discard(connection)
            if reusable and not self._closed and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _new(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._url.hostname, self._url.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=timeout_s)


class _Attempt:
    """One request on one connection, within one deadline."""

    def __init__(self, transport: HttpTransport, command: Exchange, request: HttpRequest) -> None:
        self._transport = transport
        self._command = command
        self._request = request
        self._deadline = time.monotonic() + command.timeout_s
        self._stage = "connecting to"
        self._reusable = False

    def __enter__(self) -> _Attempt:
        self._connection = self._transport.take(self._command.timeout_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.give_back(self._connection, reusable=self._reusable)

    def reply(self) -> HttpReply:
        """Send the request and read the reply."""
        try:
            if self._connection.sock is None:
                self._connection.connect()
            self._socket = self._connection.sock
            self._stage = "sending to"
            self._send()
            self._stage = "waiting for an answer from"
            return self._read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _failures.from_http_failure(
                _unwrapped(error),
                self._stage,
                self._command,
                self._transport.target,
                closed=self._transport.is_closed,
            ) from error

    def _send(self) -> None:
        # Not by way of http.client, which sends every request in two packets.
        host = self._transport.host
        message = message_of(self._request, host, self._command.headers)
        try:
            for piece in message:
                self._limit()
                self._socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a request may not read all of it; its answer says why.
            if not _is_readable(self._socket):
                raise

    def _read(self) -> HttpReply:
        self._limit()
        with contextlib.closing(
            http.client.HTTPResponse(self._socket, method=self._request.method)
        ) as response:
            response.begin()
            return self._reply(response)

    def _reply(self, response: http.client.HTTPResponse) -> HttpReply:
        headers = {name.lower(): value for name, value in response.getheaders()}
        body: Any
        if response.length is None:
            body = bytearray()
            while chunk := self._limited(response.read, _CHUNK):
                body += chunk
            if not body and isinstance(self._command.operation, ops.Infer):
                # To http.client headers that break off are headers that end.
                raise http.client.IncompleteRead(b"")
        else:
            body = body_buffer(response.length, headers)
            position = 0
            while position < len(body):
                count = self._limited(response.readinto, body[position:])
                if not count:
                    raise http.client.IncompleteRead(b"", len(body) - position)
                position += count
        self._reusable = not response.will_close
        return HttpReply(response.status, headers, decompressed(body, headers))

    def _limited(self, read: Any, argument: Any) -> Any:
        self._limit()
        return read(argument)

    def _limit(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)


def _unwrapped(error: Exception) -> Exception:
    """What an exception of http.client means."""
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return ConnectionResetError()
    if isinstance(error, http.client.HTTPException):
        said = str(error).strip("'\"").replace("\\x00", "\0")
        return _failures.NotHttp(said or type(error).__name__)
    return error


def _is_readable(connection: Any) -> bool:
    if connection is None:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _default_tls() -> Any:
    from pytriton.client.options import Tls

    return Tls()
