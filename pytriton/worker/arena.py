# SPDX-License-Identifier: Apache-2.0
"""The memory of one batch that its results go to."""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Final

from pytriton.request import Array
from pytriton.worker.channel import Block, Channel, MemoryRefused
from pytriton.worker.layout import BLOCK_HEADER, TENSOR_ALIGNMENT
from pytriton.worker.memory import Segment, address_of

__all__ = ["Arena", "StreamArena", "align"]

_TAKEN: Final = Struct("=Q")
_TAKEN_OFFSET: Final = BLOCK_HEADER.offset("results_taken")


def align(size: int) -> int:
    """Round up so that the next tensor is aligned."""
    return (size + TENSOR_ALIGNMENT - 1) & -TENSOR_ALIGNMENT


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

    def sent(self) -> None:
        """Begin the next step: what was taken belongs to a result that is on its way."""

    def find(self, array: Array) -> int | None:
        """Offset of a contiguous array that lies in the block of the batch, as its inputs do."""
        offset = address_of(array) - self.segment.address
        start, length = self._block
        return offset if start <= offset and offset + array.nbytes <= start + length else None


class StreamArena(Arena):
    """Hands out memory of a slot in a ring: that of a step is used again when the server has dealt with it.

    So a stream takes a bounded amount of memory, and waits when the server falls behind.
    """

    __slots__ = ("_pieces", "_sent", "_start", "_taken_offset")

    def __init__(self, channel: Channel, slot: int, block: Block, free: Block) -> None:
        super().__init__(channel, slot, block, free)
        self._start = self._next
        self._pieces: deque[tuple[int, int]] = deque()
        """Of what was taken and may be in use: the step, and where it starts."""
        self._sent = 0
        self._taken_offset = block.offset + _TAKEN_OFFSET

    def sent(self) -> None:
        """Begin the next step: what was taken belongs to a result that is on its way."""
        self._sent += 1

    def take(self, size: int) -> int:
        """Offset of so many bytes, aligned."""
        size = align(size)
        offset = self._fit(size)
        if offset is None:
            self._forget(_TAKEN.unpack_from(self.segment.memory, self._taken_offset)[0])
            offset = self._fit(size)
        if offset is None:
            offset = self._make_room(size)
        self._pieces.append((self._sent, offset))
        self._next = offset + size
        return offset

    def find(self, array: Array) -> int | None:
        """None: the function may change an array after it has yielded it."""
        return None

    def _make_room(self, size: int) -> int:
        # Twice the size, so that the function can work on a step while the server deals with another.
        if 2 * size > self._end - self._start and (offset := self._grow(size)) is not None:
            return offset
        self._channel.sync(self._slot)
        self._forget(self._sent)
        offset = self._fit(size)
        if offset is None:  # what is in the way belongs to this very step
            offset = self._ring(self._channel.reserve(self._slot, size))
        return offset

    def _grow(self, size: int) -> int | None:
        try:
            return self._ring(self._channel.reserve(self._slot, max(2 * size, 2 * (self._end - self._start))))
        except MemoryRefused:
            return None

    def _ring(self, block: Block) -> int:
        self._pieces.clear()
        self._start = align(block.offset)
        self._end = block.offset + block.length
        return self._start

    def _forget(self, steps: int) -> None:
        while self._pieces and self._pieces[0][0] < steps:
            self._pieces.popleft()

    def _fit(self, size: int) -> int | None:
        if not self._pieces:
            return self._start if size <= self._end - self._start else None
        oldest = self._pieces[0][1]
        if self._next > oldest:
            if size <= self._end - self._next:
                return self._next
            return self._start if size <= oldest - self._start else None
        return self._next if size <= oldest - self._next else None
