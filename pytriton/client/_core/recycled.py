# SPDX-License-Identifier: Apache-2.0
"""Memory for large results, used again once nobody refers to them: fresh memory costs more than a copy."""

from __future__ import annotations

import collections
import ctypes
import mmap
import weakref
from typing import Any, Final

import numpy as np

from pytriton.client._core.tensors import Array

__all__ = ["recycled", "recycled_copy"]

_SMALLEST: Final = 1 << 20
_MOST_IDLE: Final = 1 << 26
_WASTE: Final = 2

_idle: collections.deque[mmap.mmap] = collections.deque()


def recycled(size: int) -> Array:
    """So many bytes of any content; they are free again when the array and all views of it have gone."""
    if size < _SMALLEST:
        return np.empty(size, np.uint8)
    memory = _taken(size)
    if memory is None:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    exporter: Any = (ctypes.c_char * size).from_buffer(memory)
    weakref.finalize(exporter, _give_back, memory).atexit = False
    array: Array = np.frombuffer(exporter, np.uint8)
    return array


def recycled_copy(data: Any) -> memoryview:
    """A copy of bytes in such memory."""
    memory: Any = recycled(len(data))
    memory[:] = np.frombuffer(data, np.uint8)
    return memoryview(memory)


def _taken(size: int) -> mmap.mmap | None:
    # Without a lock, for _give_back may be called in the middle of anything.
    for _ in range(len(_idle)):
        try:
            memory = _idle.popleft()
        except IndexError:
            break
        if size <= len(memory) <= _WASTE * size:
            return memory
        _idle.append(memory)
    return None


def _give_back(memory: mmap.mmap) -> None:
    _idle.append(memory)
    while sum(map(len, list(_idle))) > _MOST_IDLE:
        try:
            _idle.popleft()
        except IndexError:
            break
