# SPDX-License-Identifier: Apache-2.0
"""Messages between one worker and the backend: small ones on a socket, tensors in shared memory."""

from __future__ import annotations

import contextlib
import errno
import functools
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import Array
from pytriton.worker import layout
from pytriton.worker.layout import MESSAGE
from pytriton.worker.memory import Leases, Segment

__all__ = [
    "Block",
    "Cancelled",
    "Channel",
    "ChannelClosed",
    "Execute",
    "MemoryRefused",
    "ProtocolError",
    "shut",
]


class ChannelClosed(ConnectionError):
    """The connection has ended, by either side."""


class ProtocolError(PyTritonRuntimeError):
    """The server said something that makes no sense."""


_LIMIT_SETTINGS: Final = {
    layout.LIMIT_OF_WORKER: "ModelConfig(worker_shared_memory_bytes=...)",
    layout.LIMIT_OF_MODEL: "ModelConfig(shared_memory_bytes=...)",
    layout.LIMIT_OF_ALL: "Limits(shared_memory_bytes=...)",
}


class MemoryRefused(MemoryError):
    """The server has no block of the size that results need."""

    def __init__(
        self, wanted: int, limit: int, which: int = layout.LIMIT_OF_WORKER, need: int | None = None
    ) -> None:
        super().__init__(f"{wanted} bytes of shared memory wanted, the limit is {limit} bytes")
        self.wanted = wanted
        self.limit = limit
        self.setting = _LIMIT_SETTINGS.get(which, "")
        """What sets the limit."""
        self.need = wanted if need is None else need
        """Bytes that the batch would need in all: above the limit, it never fits."""


class Block(NamedTuple):
    """A range of the segment."""

    offset: int
    length: int


class Execute(NamedTuple):
    """A batch to execute: its slot, and the block that it lies in."""

    slot: int
    offset: int
    length: int


class Cancelled(NamedTuple):
    """Requests of a slot were cancelled; which ones, their records say."""

    slot: int


_Message: TypeAlias = "tuple[Any, ...]"
_NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)  # tests without a server run on other systems too


class Channel:
    """One connection, from the welcome to the end of file. All of it belongs to the worker's thread."""

    def __init__(self, connection: socket.socket, segment: Segment) -> None:
        self.segment = segment
        self.leases = Leases(functools.partial(_send_release, connection))
        self._socket = connection
        self._buffer = bytearray(MESSAGE.size)
        self._waiting: deque[Execute | Cancelled] = deque()
        self.on_waiting: Callable[[], object] | None = None
        """Called when an event comes while an answer is waited for: the descriptor does not tell of it."""

    @property
    def bytes_copied(self) -> int:
        """Tensor bytes that Python code has copied out of and into shared memory."""
        return self.segment.bytes_copied

    @property
    def is_waiting(self) -> bool:
        """Whether an event has come that the descriptor does not tell of."""
        return bool(self._waiting)

    def fileno(self) -> int:
        """Descriptor that is readable when there is something to receive."""
        return self._socket.fileno()

    def receive(self) -> Execute:
        """Wait for the next batch, of a worker that does one at a time."""
        while True:
            if self._waiting:
                event = self._waiting.popleft()
                if isinstance(event, Execute):
                    return event
                continue
            kind, _, slot, offset, length, _, _ = self._receive()
            if kind == layout.EXECUTE:
                return Execute(slot, offset, length)
            if kind != layout.CANCELLED:
                raise _unexpected(kind, "a batch")

    def next_event(self, *, wait: bool) -> Execute | Cancelled | None:
        """What there is to know next; None if that is nothing yet, and nobody waits for it."""
        if self._waiting:
            return self._waiting.popleft()
        try:
            kind, _, slot, offset, length, _, _ = self._receive(0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        if kind == layout.EXECUTE:
            return Execute(slot, offset, length)
        if kind == layout.CANCELLED:
            return Cancelled(slot)
        raise _unexpected(kind, "a batch")

    def reserve(self, slot: int, length: int) -> Block:
        """Ask for one more block for the results of a slot."""
        _send(self._socket, MESSAGE.pack(layout.RESERVE, 0, slot, 0, length, 0, 0))
        kind, flags, offset, granted = self._answer(slot, (layout.RESERVED, layout.REFUSED), "memory")
        if kind == layout.REFUSED:
            raise MemoryRefused(length, granted, flags, offset)
        return Block(offset, granted)

    def sync(self, slot: int) -> None:
        """Wait until the server has dealt with all results of a slot."""
        _send(self._socket, MESSAGE.pack(layout.SYNC, 0, slot, 0, 0, 0, 0))
        self._answer(slot, (layout.SYNCED,), "an acknowledgement")

    def send_step(self, slot: int, table: Block, begin_ns: int, end_ns: int) -> None:
        """Send a result that is not the final one."""
        _send(
            self._socket, MESSAGE.pack(layout.RESULT, 0, slot, table.offset, table.length, begin_ns, end_ns)
        )

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

    def _answer(self, slot: int, kinds: tuple[int, ...], what: str) -> tuple[int, int, int, int]:
        while True:
            kind, flags, answered, offset, length, _, _ = self._receive()
            if kind == layout.EXECUTE:
                self._keep(Execute(answered, offset, length))
            elif kind == layout.CANCELLED:
                self._keep(Cancelled(answered))
            elif kind in kinds and answered == slot:
                return kind, flags, offset, length
            else:
                raise _unexpected(kind, what)

    def _keep(self, event: Execute | Cancelled) -> None:
        self._waiting.append(event)
        if self.on_waiting is not None:
            self.on_waiting()

    def _receive(self, flags: int = 0) -> _Message:
        try:
            size = self._socket.recv_into(self._buffer, 0, flags)
        except BlockingIOError:
            raise
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
        connection.send(packet, _NO_SIGNAL)
    except OSError:
        pass


def _unexpected(kind: int, expected: str) -> ProtocolError:
    return ProtocolError(f"A message of kind {kind} came from the server where {expected} was expected.")
