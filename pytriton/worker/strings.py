# SPDX-License-Identifier: Apache-2.0
"""BYTES tensors: object arrays of bytes here, a table of offsets and the data in shared memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np

from pytriton.request import Array
from pytriton.worker.memory import Segment

__all__ = ["EncodedStrings", "read_strings"]

_OFFSET: Final = np.dtype(np.uint64)
# As long as strings are shorter, copying all of them in one piece first is cheaper than reaching for each.
_LONG: Final = 4096


def read_strings(segment: Segment, shape: tuple[int, ...], offset: int, length: int) -> Array:
    """Copy strings out of shared memory."""
    memory, count = segment.memory, math.prod(shape)
    start, end = offset + (count + 1) * _OFFSET.itemsize, offset + length
    lengths = np.diff(np.ndarray((count + 1,), _OFFSET, memory, offset)).tolist()
    segment.bytes_copied += length
    if end - start < _LONG * count:
        segment.bytes_copied += end - start
        read = BytesIO(memory[start:end]).read
    else:
        memory.seek(start)
        read = memory.read
    return np.fromiter(map(read, lengths), np.dtype(object), count).reshape(shape)


class EncodedStrings:
    """Strings on their way into shared memory: bytes, or text that becomes UTF-8."""

    __slots__ = ("_joined", "_lengths", "_strings", "size")

    def __init__(self, array: Array) -> None:
        strings: list[Any] = array.ravel().tolist()
        if array.dtype.kind == "U":
            strings = [string.encode() for string in strings]
        try:
            self._measure(strings)
        except TypeError:  # some are no bytes
            strings = [_as_bytes(string, index) for index, string in enumerate(strings)]
            self._measure(strings)
        self._strings: Sequence[bytes] = strings

    def _measure(self, strings: Sequence[Any]) -> None:
        """Their lengths, and all of them in one piece if they are short; TypeError if some are no bytes."""
        self._lengths = np.fromiter(map(len, strings), _OFFSET, len(strings))
        length = int(self._lengths.sum())
        self.size = (len(strings) + 1) * _OFFSET.itemsize + length
        self._joined: bytes | None = None
        if length < _LONG * len(strings):
            # Looks at each of them on the way; views may have other lengths than their bytes.
            self._joined = b"".join(strings)
            if len(self._joined) != length:
                raise TypeError
        elif not set(map(type, strings)) <= {bytes, np.bytes_}:
            raise TypeError

    def write(self, segment: Segment, offset: int) -> None:
        """Copy them into `size` bytes of shared memory."""
        memory, count = segment.memory, len(self._lengths)
        offsets = np.ndarray((count + 1,), _OFFSET, memory, offset)
        offsets[0] = 0
        np.cumsum(self._lengths, out=offsets[1:])
        start, end = offset + offsets.nbytes, offset + self.size
        if self._joined is not None:
            memory[start:end] = self._joined
            segment.bytes_copied += end - start
        else:
            for string in self._strings:
                memory[start : start + len(string)] = string
                start += len(string)
        segment.bytes_copied += self.size


def _as_bytes(string: Any, index: int) -> bytes:
    if isinstance(string, str):
        return string.encode()
    if isinstance(string, (bytes, bytearray, memoryview)):
        return bytes(string)
    raise ValueError(
        f"element {index} of an array of objects is of type {type(string).__qualname__}. "
        "Only bytes as objects dtype are supported, and str, which becomes UTF-8"
    )
