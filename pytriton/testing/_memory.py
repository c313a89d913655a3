# SPDX-License-Identifier: Apache-2.0
"""Memory that a worker shares with what stands for its server, in one process."""

from __future__ import annotations

import mmap
from bisect import insort
from typing import Final, NamedTuple

from pytriton.worker.arena import align
from pytriton.worker.channel import Block
from pytriton.worker.memory import Segment

__all__ = ["DEFAULT_BYTES", "Memory"]

DEFAULT_BYTES: Final = 1 << 28
_ANONYMOUS: Final = -1


class _Piece(NamedTuple):
    start: int
    end: int


class Memory:
    """A segment, and what of it is in use by which slot; it takes up no more than was ever used."""

    def __init__(self, size: int = DEFAULT_BYTES) -> None:
        self.segment = Segment(_ANONYMOUS, size)
        self.size = size
        self._pieces: list[_Piece] = []
        self._of_slot: dict[int, list[_Piece]] = {}

    @property
    def bytes(self) -> mmap.mmap:
        """All of it."""
        return self.segment.memory

    def take(self, slot: int, length: int) -> Block | None:
        """A block for a slot; None if there is no room for it."""
        length, start = align(max(length, 1)), 0
        for piece in self._pieces:
            if piece.start - start >= length:
                break
            start = piece.end
        if start + length > self.size:
            return None
        piece = _Piece(start, start + length)
        insort(self._pieces, piece)
        self._of_slot.setdefault(slot, []).append(piece)
        return Block(start, length)

    def need(self, slot: int, length: int) -> int:
        """Bytes that a slot would have in all with a block of so many."""
        return align(length) + sum(piece.end - piece.start for piece in self._of_slot.get(slot, ()))

    def release(self, slot: int) -> None:
        """Take back whatever a slot has."""
        for piece in self._of_slot.pop(slot, ()):
            self._pieces.remove(piece)
