# SPDX-License-Identifier: Apache-2.0
"""The regions of shared memory of one client: made when needed, registered once, used again and again."""

from __future__ import annotations

import threading
import weakref
from typing import Final

from pytriton.client._core import operations as ops
from pytriton.client._core.settings import Settings
from pytriton.client._shared_memory.block import Block
from pytriton.client._shared_memory.leftovers import LEFTOVERS
from pytriton.client._threads.forks import renew_after_fork

__all__ = ["Region", "Regions"]

_SMALLEST: Final = 1 << 16
_STEPS: Final = 4  # sizes between a power of two and the next
_MOST_IDLE: Final = 1 << 28
_WASTE: Final = 4


class Region:
    """A block, and the server's name for it."""

    def __init__(self, size: int) -> None:
        self.block = Block(size)
        self.name = self.block.name
        self.size = size
        self.is_registered = False

    @property
    def registration(self) -> ops.RegisterMemory:
        """What to ask of the server."""
        return ops.RegisterMemory(self.name, self.block.key, self.size)


class Regions:
    """Regions of one client; any number of threads may borrow them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registered: set[str] = set()
        self._after_fork()
        renew_after_fork(self)
        # It may be that nobody closes the client; what is registered is unregistered all the same.
        weakref.finalize(self, LEFTOVERS.add, settings, self._registered).atexit = False
        LEFTOVERS.watch(self)

    def borrow(self, size: int) -> Region:
        """A region of at least this size; OSError if there is no memory for one."""
        with self._lock:
            fitting = [region for region in self._idle if size <= region.size <= _WASTE * size + _SMALLEST]
            if fitting:
                best = min(fitting, key=lambda region: region.size)
                self._idle.remove(best)
                return best
        return Region(_rounded(size))

    def registered(self, region: Region) -> None:
        """The server has mapped a region: nobody needs its name any more, so none can be left behind."""
        region.is_registered = True
        self._registered.add(region.name)
        region.block.unlink()

    def give_back(self, region: Region) -> None:
        """Keep a region for others: neither we nor the server use it any more."""
        region.block.unlink()
        dropped = []
        with self._lock:
            if region.name in self._registered:
                self._idle.append(region)
            # The latest two are kept, however large: a request has one for inputs and one for outputs.
            while len(self._idle) > 2 and sum(each.size for each in self._idle) > _MOST_IDLE:
                dropped.append(self._idle.pop(0))
        for each in dropped:
            self.discard(each)

    def discard(self, region: Region) -> None:
        """Never use a region again: the server may still do so."""
        region.block.unlink()
        if region.name in self._registered:
            self._registered.discard(region.name)
            LEFTOVERS.add(self._settings, [region.name])

    def retire(self) -> list[str]:
        """Have no regions any more; the names of those that are registered."""
        with self._lock:
            self._idle.clear()
        names = list(self._registered)
        self._registered.difference_update(names)
        return names

    def leave(self) -> None:
        """Have others see to what is registered."""
        LEFTOVERS.add(self._settings, self.retire())

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Region] = []
        self._registered.clear()


def _rounded(size: int) -> int:
    """A size of which there are few, so that regions fit more than one request."""
    step = max(1 << max(size - 1, 1).bit_length() >> 1, _SMALLEST) // _STEPS
    return -(-size // step) * step
