# SPDX-License-Identifier: Apache-2.0
"""The memory of one batch that its results go to."""

from __future__ import annotations

from pytriton.request import Array
from pytriton.worker.channel import Block, Channel
from pytriton.worker.layout import TENSOR_ALIGNMENT
from pytriton.worker.memory import Segment, address_of

__all__ = ["Arena", "align"]


def align(size: int) -> int:
    """Round up so that the next tensor is aligned."""
    return (size + TENSOR_ALIGNMENT - 1) // TENSOR_ALIGNMENT * TENSOR_ALIGNMENT


class Arena:
    """Hands out memory of a slot from its start to its end, and asks the server for more."""

    __slots__ = ("_block", "_channel", "_end", "_next", "_slot", "segment")

    def __init__(self, channel: Channel, slot: int, block: Block, free: Block) -> None:
        self.segment: Segment = channel.segment
        self._channel = channel
        self._slot = slot
        self._block = block
        self._next = align(free.offset)
        self._end = free.offset + free.length

    def take(self, size: int) -> int:
        """Offset of so many bytes, aligned."""
        if size > self._end - self._next:
            block = self._channel.reserve(self._slot, size)
            self._next = block.offset
            self._end = block.offset + block.length
        offset = self._next
        self._next = align(offset + size)
        return offset

    def find(self, array: Array) -> int | None:
        """Offset of a contiguous array that lies in the block of the batch, as its inputs do."""
        offset = address_of(array) - self.segment.address
        start, length = self._block
        return offset if start <= offset and offset + array.nbytes <= start + length else None
