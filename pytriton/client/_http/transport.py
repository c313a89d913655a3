# SPDX-License-Identifier: Apache-2.0
"""Blocking HTTP: a pool of connections, each for one request at a time."""

from __future__ import annotations

import collections
import threading
from typing import Any, Final

from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange
from pytriton.client._core.settings import Settings
from pytriton.client._http.body import compressed
from pytriton.client._http.connection import Attempt, Connection
from pytriton.client._http.stream import HttpStreamCall
from pytriton.client._http.wire import decode, encode
from pytriton.client._threads.abort import current_abort
from pytriton.client._threads.forks import renew_after_fork
from pytriton.client.exceptions import PyTritonClientClosedError
from pytriton.client.options import Tls

__all__ = ["HttpTransport"]

_IDLE_CONNECTIONS: Final = 128


class HttpTransport:
    """Connections to one server, shared by any number of threads: each request has one to itself."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        self.target = settings.target
        """The server, in messages."""
        self.host = settings.url.without_scheme
        """Its name and port, as requests say it."""
        self._tls = (settings.tls or Tls()).context() if settings.url.is_encrypted else None
        self._idle: collections.deque[Connection] = collections.deque()
        self._busy: set[Connection] = set()
        self._lock = threading.Lock()
        self._closed = False
        renew_after_fork(self)

    def exchange(self, command: Exchange) -> Any:
        """Send an operation and wait for its result."""
        operation = command.operation
        request = encode(operation)
        if isinstance(operation, ops.Infer) and operation.compression is not None:
            request = compressed(request, operation.compression)
        with Attempt(self, command, request) as attempt:
            abort = current_abort()
            if abort is None:
                reply = attempt.reply()
            else:
                with abort.waiting(attempt.interrupt):
                    reply = attempt.reply()
        return decode(operation, reply, command.what)

    def stream(self, command: Exchange, timeout_s: float | None) -> HttpStreamCall:
        """Send a request whose responses are read one by one, within `timeout_s` all together."""
        return HttpStreamCall(self, command, timeout_s)

    def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        with self._lock:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
        for connection in idle:
            connection.close()
        for connection in busy:
            connection.interrupt()  # its own thread closes it

    @property
    def is_closed(self) -> bool:
        """Whether close() has been called."""
        return self._closed

    def take(self) -> Connection:
        """A connection that nobody else uses; connected, or new."""
        with self._lock:
            if self._closed:
                raise PyTritonClientClosedError(f"The client of {self.target} is closed.")
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_readable():
                    break
                connection.close()  # by the server; an idle connection has nothing to say else
            else:
                connection = Connection()
            self._busy.add(connection)
        return connection

    def give_back(self, connection: Connection, *, reusable: bool) -> None:
        """Keep a connection for the next request, or close it."""
        with self._lock:
            self._busy.discard(connection)
            if reusable and not self._closed and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def connect(self, connection: Connection, deadline: float) -> None:
        """Connect a connection that is new."""
        connection.open((self._url.hostname, self._url.port), self._tls, deadline)

    def _after_fork(self) -> None:
        """The connections are the parent's; to close our copies of them ends none."""
        self._lock = threading.Lock()
        for inherited in (*self._idle, *self._busy):
            inherited.close()
        self._idle.clear()
        self._busy.clear()
