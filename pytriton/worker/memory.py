# SPDX-License-Identifier: Apache-2.0
"""Memory shared with the server, and the leases that keep a slot while arrays over it are alive."""

from __future__ import annotations

import mmap
import threading
import weakref
from collections.abc import Callable
from typing import Final

import numpy as np

from pytriton.request import Array

__all__ = ["Leases", "Segment", "address_of"]

_BYTE: Final = np.dtype(np.uint8)


class Segment:
    """The shared memory of one connection, mapped for as long as anything refers to it."""

    __slots__ = ("address", "bytes_copied", "memory")

    def __init__(self, descriptor: int, size: int) -> None:
        self.memory = mmap.mmap(descriptor, size)
        self.address = address_of(np.ndarray((1,), _BYTE, self.memory))
        self.bytes_copied = 0
        """Tensor bytes that Python code has copied out of and into the segment."""


def address_of(array: Array) -> int:
    """Address of the first element."""
    address: int = array.__array_interface__["data"][0]
    return address


class _Lease(weakref.ref[Array]):
    """Learns when the last array over a slot is gone."""

    __slots__ = ("ended", "first", "slot")

    slot: int
    ended: bool
    first: Callable[[bool], bool]


class Leases:
    """The slots of one connection that are still in use.

    A slot is given back when its result was sent and its last array is gone, by whichever comes second. The
    last array can go in any thread, and in the middle of anything when the garbage collector does it, so
    nothing here waits: the two meet at a lock that is only ever tried, and who finds it taken is the second.
    """

    def __init__(self, segment: Segment, send_release: Callable[[int], object]) -> None:
        self._segment = segment
        self._send_release = send_release
        self._open: dict[int, _Lease] = {}

    def __len__(self) -> int:
        return len(self._open)

    def grant(self, slot: int, offset: int, length: int) -> Array:
        """The bytes of a block, as the array that all arrays over the slot are to be made from.

        Views of views have it as their base: NumPy looks for the last array of a chain, and below this one
        there is none.
        """
        exporter: Array = np.ndarray((length,), _BYTE, self._segment.memory, offset)
        lease = _Lease(exporter, self._end)
        lease.slot = slot
        lease.ended = False
        lease.first = threading.Lock().acquire
        self._open[slot] = lease
        return exporter

    def take_ended(self, slot: int) -> bool:
        """Whether the arrays are gone before the result is sent; if so, the result has to say it."""
        if not self._open[slot].ended:
            return False
        del self._open[slot]
        return True

    def answered(self, slot: int) -> None:
        """The result was sent, and did not say that the arrays are gone."""
        if not self._open[slot].first(False):
            self._release(slot)

    def forget(self) -> None:
        """Stop watching: the connection is gone. Arrays that somebody keeps stay valid."""
        self._open.clear()

    def _end(self, lease: _Lease) -> None:
        lease.ended = True
        if not lease.first(False):
            self._release(lease.slot)

    def _release(self, slot: int) -> None:
        # In this order: the server may use the number again as soon as it reads the message.
        self._open.pop(slot, None)
        self._send_release(slot)
