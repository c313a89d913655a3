# SPDX-License-Identifier: Apache-2.0
"""One connection of blocking HTTP, and one request on it."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import socket
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from pytriton.client._core import failures
from pytriton.client._core.flow import Exchange
from pytriton.client._http.body import decompressed, message_of
from pytriton.client._http.lookup import Lookup
from pytriton.client._http.reader import ReplyReader
from pytriton.client._http.wire import HttpReply, HttpRequest

if TYPE_CHECKING:
    from pytriton.client._http.transport import HttpTransport

__all__ = ["Attempt", "Connection"]

_CHUNK: Final = 1 << 16
_INSTANT_S: Final = 1e-3


class Connection:
    """A connection to a server, for one thread at a time."""

    def __init__(self) -> None:
        self.socket: Any = None
        self._is_interrupted = False
        self._lookup = Lookup()
        self._poll = select.poll()

    def open(self, address: tuple[str, int], tls: Any, deadline: float) -> None:
        """Connect; whoever does not answer, at any stage, is left at the deadline or when interrupted.

        Args:
            address: Host and port.
            tls: Context for TLS, None for none.
            deadline: Until when, by time.monotonic().
        """
        addresses = self._lookup.addresses(*address, deadline)
        for index, found in enumerate(addresses, 1):
            try:
                # One that leads nowhere leaves time for the others.
                self._reach(found, _left(deadline) / (len(addresses) - index + 1))
                break
            except OSError:
                if index == len(addresses) or self._is_interrupted:
                    raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(_left(deadline))
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_hostname=address[0], do_handshake_on_connect=False
            )
            self._check()
            self.socket.do_handshake()
        self._poll.register(self.socket, select.POLLIN)
        self._check()

    def is_readable(self) -> bool:
        """Whether something has come, be it the end."""
        return bool(self._poll.poll(0))

    def interrupt(self) -> None:
        """End the waiting of the thread that uses the connection."""
        self._is_interrupted = True
        self._lookup.give_up()
        if self.socket is not None:
            with contextlib.suppress(OSError):
                # Not the method of ssl's sockets, which takes TLS away from the thread in the midst of it.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        if self.socket is not None:
            self.socket.close()

    def _reach(self, found: Any, patience_s: float) -> None:
        """Connect to one of the addresses."""
        family, kind, protocol, _, address = found
        self.close()
        self.socket = socket.socket(family, kind, protocol)
        self.socket.setblocking(False)
        error = self.socket.connect_ex(address)
        # Who interrupts before it begins to connect is seen here; who does later ends the waiting below.
        self._check()
        if error == errno.EINPROGRESS:
            connecting = select.poll()
            connecting.register(self.socket, select.POLLOUT)
            if not connecting.poll(math.ceil(1e3 * patience_s)):
                raise TimeoutError
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._check()
        if error:
            raise OSError(error, os.strerror(error))

    def _check(self) -> None:
        if self._is_interrupted:
            raise ConnectionAbortedError


class Attempt:
    """One request on one connection, within one deadline."""

    def __init__(self, transport: HttpTransport, command: Exchange, request: HttpRequest) -> None:
        """Do nothing yet.

        Args:
            transport: Has the connections.
            command: What is asked.
            request: The same in the words of HTTP.
        """
        self._transport = transport
        self._command = command
        self._request = request
        self._deadline = time.monotonic() + command.timeout_s
        self._stage = failures.CONNECTING
        self.reader = ReplyReader()
        """What has been read."""

    def __enter__(self) -> Attempt:
        self._connection = self._transport.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        reader = self.reader
        self._transport.give_back(self._connection, reusable=reader.is_complete and reader.keeps_open)

    def reply(self) -> HttpReply:
        """Send the request and read the reply."""
        try:
            self.send()
            reader = self.reader
            while not reader.is_complete:
                self.read()
            reply = reader.reply()
            if "content-encoding" in reply.headers:
                reply.body = decompressed(reply.body, reply.headers)
            return reply
        except (OSError, ValueError, failures.NotHttp) as error:
            raise self.failure(error) from error

    def send(self) -> None:
        """Send the request."""
        if self._connection.socket is None:
            self._transport.connect(self._connection, self._deadline)
        connected = self._socket = self._connection.socket
        self._stage = "sending to"
        timeout_s = self._command.timeout_s
        if connected.gettimeout() != timeout_s:
            connected.settimeout(timeout_s)
        self.limit()
        message = message_of(self._request, self._transport.host, self._command.headers)
        try:
            for piece in message:
                connected.sendall(piece)
                self.limit()
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a request may not read all of it; its answer says why.
            if not self._connection.is_readable():
                raise
        self._stage = "waiting for an answer from"

    def read(self) -> None:
        """Read what has come, or wait for something to come."""
        reader = self.reader
        self.limit()
        room = reader.room()
        if room is not None:
            count = self._socket.recv_into(room)
            if not count:
                raise ConnectionResetError
            reader.filled(count)
        elif data := self._socket.recv(_CHUNK):
            reader.feed(data)
        else:
            reader.end()

    def renew(self, deadline: float) -> None:
        """Have a new deadline, for the next response of a stream."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._deadline = deadline
        self._socket.settimeout(left)

    def interrupt(self) -> None:
        """End the waiting of the thread that reads."""
        self._connection.interrupt()

    def limit(self) -> None:
        """Wait no longer than until the deadline; TimeoutError if that is over."""
        left = self._deadline - time.monotonic()
        # A call to the system for each step is spared as long as next to nothing of the time has gone.
        if left < self._command.timeout_s - _INSTANT_S:
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)

    def failure(self, error: Exception) -> Exception:
        """The exception of ours."""
        transport = self._transport
        return failures.from_http_failure(
            error, self._stage, self._command, transport.target, closed=transport.is_closed
        )


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
