# SPDX-License-Identifier: Apache-2.0
"""How a worker comes to a channel: connect, again and again if need be, and shake hands."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import socket
import threading
import weakref
from typing import Final

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.worker import layout
from pytriton.worker.channel import Channel, ChannelClosed, ProtocolError, shut
from pytriton.worker.layout import HELLO, MESSAGE
from pytriton.worker.memory import Segment

__all__ = ["Connector", "WorkerRejected"]

_REASON_SIZE: Final = 4096
_FIRST_DELAY_S: Final = 0.001
_LAST_DELAY_S: Final = 0.05
_LEAVE_TIMEOUT_S: Final = 5.0
_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class WorkerRejected(PyTritonRuntimeError):
    """The server does not want this worker."""


class _Socket(socket.socket):
    """Closed with the last reference: no send of another thread can hit a descriptor that was used again."""

    def __del__(self) -> None:
        # The user's function may have closed it, or there was no descriptor to make it of.
        with contextlib.suppress(OSError, AttributeError):
            self.close()


class Connector:
    """Makes channels to one path, one after the other, until it is shut down."""

    def __init__(self, path: str, *, capacity: int = 1) -> None:
        self._path = path
        self._capacity = capacity
        self._stopped = threading.Event()
        self._leaving = False
        self._token = 0
        self._socket: _Socket | None = None
        self._channel: weakref.ref[Channel] | None = None

    @property
    def stopped(self) -> bool:
        """Whether `shutdown` was called."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise if `shutdown` or `leave` was called."""
        if self._leaving or self._stopped.is_set():
            raise ChannelClosed

    def open(self) -> Channel:
        """Connect and shake hands, however long it takes until somebody listens."""
        delay = _FIRST_DELAY_S
        while True:
            try:
                return self._attach()
            except (ConnectionError, FileNotFoundError, BlockingIOError):  # nobody listens, or not for long
                pass
            except OSError as error:
                # What has served will serve again: the program may be short of them for a moment only.
                if error.errno not in _SHORTAGES or self._channel is None:
                    raise
            self.pause(delay)
            delay = min(2 * delay, _LAST_DELAY_S)

    def pause(self, seconds: float = _LAST_DELAY_S) -> None:
        """Wait before the next attempt."""
        if self._stopped.wait(seconds) or self._leaving:
            raise ChannelClosed

    def shutdown(self) -> None:
        """End the channel and make no other, from any thread: whoever is blocked in either returns."""
        self._stopped.set()
        connection = self._socket
        if connection is not None:
            shut(connection)

    def leave(self) -> None:
        """Ask the server for no batch any more, from any thread; it ends the channel when it has all answers.

        A connection of its own says so: what has the channel may be busy, or listened to by nobody.
        """
        self._leaving = True
        try:
            connection = self._connect()
            with contextlib.closing(connection):
                connection.settimeout(_LEAVE_TIMEOUT_S)
                connection.send(self._hello(0), socket.MSG_NOSIGNAL)
                if connection.recv(MESSAGE.size):
                    self.shutdown()  # a server that does not know how
        except OSError:  # nobody listens
            self.shutdown()

    def _connect(self) -> _Socket:
        connection = _Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Connecting to a local socket waits for nothing but room in the backlog.
        connection.setblocking(False)
        connection.connect(self._path)
        connection.setblocking(True)
        return connection

    def _hello(self, capacity: int) -> bytes:
        version, digest = layout.PROTOCOL_VERSION, layout.layout_hash()
        return HELLO.pack(layout.MAGIC, version, capacity, digest, self._token)

    def _attach(self) -> Channel:
        self.check()
        connection = self._connect()
        self._socket = connection
        _connectors().add(self)
        self.check()  # shutdown() may not have found the socket
        self._token = secrets.randbits(63) | 1
        connection.send(self._hello(self._capacity), socket.MSG_NOSIGNAL)
        channel = Channel(connection, _welcome(connection))
        self._channel = weakref.ref(channel)
        return channel

    def abandon(self) -> None:
        """Let go of a connection that is another process's, without a word to the server."""
        channel = self._channel() if self._channel is not None else None
        if channel is not None:
            channel.leases.forget()
            channel.segment.abandon()
        if self._socket is not None:
            self._socket.close()


def _welcome(connection: socket.socket) -> Segment:
    packet, descriptors, _, _ = socket.recv_fds(
        connection, MESSAGE.size + _REASON_SIZE, 1, socket.MSG_CMSG_CLOEXEC
    )
    try:
        if len(packet) < MESSAGE.size:
            raise ChannelClosed
        kind, _, _, _, length, _, _ = MESSAGE.unpack_from(packet)
        if kind == layout.REJECT:
            reason = packet[MESSAGE.size :].decode(errors="replace")
            raise WorkerRejected(f"The server refused the worker: {reason}")
        if kind == layout.WELCOME and not descriptors:  # the kernel drops what there is no room for
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if kind != layout.WELCOME:
            raise ProtocolError(f"A message of kind {kind} came where the server's welcome was expected.")
        return Segment(descriptors[0], length)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@functools.cache
def _connectors() -> weakref.WeakSet[Connector]:
    """All connectors, so that a forked child can let go of connections that are its parent's.

    It would keep them open when the parent ends, and release slots that the parent still uses.
    """
    connectors: weakref.WeakSet[Connector] = weakref.WeakSet()

    def abandon_all() -> None:
        for connector in list(connectors):
            connector.abandon()

    os.register_at_fork(after_in_child=abandon_all)
    return connectors
