# SPDX-License-Identifier: Apache-2.0
"""Memory shared with the server, and the leases that keep a slot while arrays over it are alive."""

from __future__ import annotations

import errno
import mmap
import os
import weakref
from collections.abc import Callable
from typing import Final

import numpy as np

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.limits import address_space_in_words, address_space_limit
from pytriton.request import Array

__all__ = ["Leases", "Segment", "address_of"]

_BYTE: Final = np.dtype(np.uint8)


class Segment:
    """The shared memory of one connection, mapped for as long as anything refers to it."""

    __slots__ = ("address", "bytes_copied", "memory")

    def __init__(self, descriptor: int, size: int) -> None:
        try:
            self.memory = mmap.mmap(descriptor, size)
        except OSError as error:
            raise PyTritonRuntimeError(_no_room(size, error)) from error
        self.address = address_of(np.ndarray((1,), _BYTE, self.memory))
        self.bytes_copied = 0
        """Tensor bytes that Python code has copied out of and into the segment."""

    def abandon(self) -> None:
        """Make it impossible to read or write any more, but by the arrays that there are."""
        if hasattr(self, "memory"):  # the child of a child finds it so
            del self.memory

    def export(self, offset: int, length: int) -> Array:
        """The bytes of a block, as the array that all arrays over the slot are to be made from.

        Views of views have it as their base: NumPy looks for the last array of a chain, and below this one
        there is none. So the block is in use exactly as long as this array is referred to.
        """
        return np.ndarray((length,), _BYTE, self.memory, offset)


def _no_room(size: int, error: OSError) -> str:
    limit = address_space_limit() if error.errno == errno.ENOMEM else None
    why = f"{error.strerror};" if limit is None else f"its {address_space_in_words(limit)}; raise that, or"
    return (
        f"Process {os.getpid()} has no room for the {size} bytes of shared memory that a worker may have: "
        f"{why} let workers have less with ModelConfig(worker_shared_memory_bytes=...)."
    )


def address_of(array: Array) -> int:
    """Address of the first element."""
    address: int = array.__array_interface__["data"][0]
    return address


class _Lease(weakref.ref[Array]):
    """Learns when the last array over a slot is gone."""

    __slots__ = ("slot",)

    slot: int


class Leases:
    """The slots of one connection whose arrays the function keeps beyond its result.

    The last array can go in any thread, and in the middle of anything when the garbage collector does it, so
    nothing here waits.
    """

    def __init__(self, send_release: Callable[[int], object]) -> None:
        self._send_release = send_release
        self._open: dict[int, _Lease] = {}

    def __len__(self) -> int:
        return len(self._open)

    def keep(self, slot: int, exporter: Array) -> None:
        """Release a slot when nothing refers to its exporter any more.

        The caller refers to it itself until the result is sent: the release has to come after that.
        """
        lease = _Lease(exporter, self._end)
        lease.slot = slot
        self._open[slot] = lease

    def forget(self) -> None:
        """Stop watching: the connection is gone. Arrays that somebody keeps stay valid."""
        self._open.clear()

    def _end(self, lease: _Lease) -> None:
        # In this order: the server may use the number again as soon as it reads the message.
        self._open.pop(lease.slot, None)
        self._send_release(lease.slot)
