# SPDX-License-Identifier: Apache-2.0
"""Messages between one worker and the backend: small ones on a socket, tensors in shared memory."""

from __future__ import annotations

import contextlib
import errno
import functools
import socket
from collections import deque
from typing import Any, NamedTuple, TypeAlias

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import Array
from pytriton.worker import layout
from pytriton.worker.layout import MESSAGE
from pytriton.worker.memory import Leases, Segment

__all__ = ["Block", "Channel", "ChannelClosed", "Execute", "MemoryRefused", "ProtocolError", "shut"]


class ChannelClosed(ConnectionError):
    """The connection has ended, by either side."""


class ProtocolError(PyTritonRuntimeError):
    """The server said something that makes no sense."""


class MemoryRefused(MemoryError):
    """The server has no block of the size that results need."""

    def __init__(self, wanted: int, limit: int) -> None:
        super().__init__(f"{wanted} bytes of shared memory wanted, the limit is {limit} bytes")
        self.wanted = wanted
        self.limit = limit


class Block(NamedTuple):
    """A range of the segment."""

    offset: int
    length: int


class Execute(NamedTuple):
    """A batch to execute: its slot, and the block that it lies in."""

    slot: int
    offset: int
    length: int


_Message: TypeAlias = "tuple[Any, ...]"


class Channel:
    """One connection, from the welcome to the end of file. All of it belongs to the worker's thread."""

    def __init__(self, connection: socket.socket, segment: Segment) -> None:
        self.segment = segment
        self.leases = Leases(functools.partial(_send_release, connection))
        self._socket = connection
        self._buffer = bytearray(MESSAGE.size)
        self._waiting: deque[Execute] = deque()

    @property
    def bytes_copied(self) -> int:
        """Tensor bytes that Python code has copied out of and into shared memory."""
        return self.segment.bytes_copied

    def receive(self) -> Execute:
        """Wait for the next batch."""
        if self._waiting:
            return self._waiting.popleft()
        kind, _, slot, offset, length, _, _ = self._receive()
        if kind != layout.EXECUTE:
            raise _unexpected(kind, "a batch")
        return Execute(slot, offset, length)

    def reserve(self, slot: int, length: int) -> Block:
        """Ask for one more block for the results of a slot."""
        _send(self._socket, MESSAGE.pack(layout.RESERVE, 0, slot, 0, length, 0, 0))
        while True:
            kind, _, answered, offset, granted, _, _ = self._receive()
            if kind == layout.EXECUTE:
                self._waiting.append(Execute(answered, offset, granted))
            elif kind == layout.RESERVED and answered == slot:
                return Block(offset, granted)
            elif kind == layout.REFUSED and answered == slot:
                raise MemoryRefused(length, granted)
            else:
                raise _unexpected(kind, "memory")

    def send_result(
        self, slot: int, table: Block, begin_ns: int, end_ns: int, kept: Array | None = None
    ) -> None:
        """Answer a batch.

        Args:
            slot: Its slot.
            table: Where the results are described.
            begin_ns: Start of the function.
            end_ns: End of the function.
            kept: Exporter of its block, if something refers to it: the slot stays in use until it is gone.
        """
        if kept is None:
            flags = layout.FINAL | layout.RELEASED
        else:
            flags = layout.FINAL
            self.leases.keep(slot, kept)
        packet = MESSAGE.pack(layout.RESULT, flags, slot, table.offset, table.length, begin_ns, end_ns)
        _send(self._socket, packet)

    def close(self) -> None:
        """End the connection; arrays over its memory stay valid."""
        self.leases.forget()
        shut(self._socket)

    def _receive(self) -> _Message:
        try:
            size = self._socket.recv_into(self._buffer)
        except OSError as error:
            if error.errno == errno.EBADF:  # the function has closed it; the number will be another file's
                self._socket.detach()
            raise ChannelClosed from None
        if size == 0:
            raise ChannelClosed
        if size != MESSAGE.size:
            raise ProtocolError(f"A message of {size} bytes came from the server; expected {MESSAGE.size}.")
        return MESSAGE.unpack(self._buffer)


def shut(connection: socket.socket) -> None:
    """End a connection, whoever is blocked on it."""
    with contextlib.suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)


def _send_release(connection: socket.socket, slot: int) -> None:
    _send(connection, MESSAGE.pack(layout.RELEASE, 0, slot, 0, 0, 0, 0))


def _send(connection: socket.socket, packet: bytes) -> None:
    # A dead connection is noticed by its reader; to the sender it only means that nobody is interested.
    try:  # noqa: SIM105 (a context manager would cost as much as all the rest)
        connection.send(packet, socket.MSG_NOSIGNAL)
    except OSError:
        pass


def _unexpected(kind: int, expected: str) -> ProtocolError:
    return ProtocolError(f"A message of kind {kind} came from the server where {expected} was expected.")
