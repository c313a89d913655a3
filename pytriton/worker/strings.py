# SPDX-License-Identifier: Apache-2.0
"""BYTES tensors: object arrays of bytes here, in shared memory a list as the marshal module writes it.

marshal reads and writes all strings in one call. Its loads() is safe here: it reads what the server has
written, whose strings are behind their lengths whatever a client made them of.
"""

from __future__ import annotations

import marshal
import math
import operator
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pytriton.request import Array
from pytriton.worker.layout import LIST_HEAD, LIST_TAG, STRING_HEAD, STRING_TAG
from pytriton.worker.memory import Segment

__all__ = ["EncodedStrings", "read_strings"]

# The last version of marshal without references to what was written before.
_VERSION: Final = 2
_HEAD: Final = struct.Struct("<BI")
_LONGEST: Final = 0xFFFFFFFF
# Strings are packed in one piece, which is copied; longer ones are copied one by one.
_LONG: Final = 4096
_LOOKED_AT: Final = 16


def read_strings(segment: Segment, shape: tuple[int, ...], offset: int, length: int) -> Array:
    """Copy strings out of shared memory."""
    count = math.prod(shape)
    segment.bytes_copied += length
    strings = marshal.loads(memoryview(segment.memory)[offset : offset + length])
    return np.fromiter(strings, np.dtype(object), count).reshape(shape)


class EncodedStrings:
    """Strings on their way into shared memory: bytes, or text that becomes UTF-8."""

    __slots__ = ("_packed", "_strings", "size")

    def __init__(self, array: Array) -> None:
        strings: list[Any] = array.ravel().tolist()
        if array.dtype.kind == "U":
            strings = [string.encode() for string in strings]
        # Counting is what costs least, and nearly always enough: of bytes themselves marshal makes strings.
        if operator.countOf(map(type, strings), bytes) != len(strings):
            strings = [_as_bytes(string, index) for index, string in enumerate(strings)]
        self._strings: Sequence[bytes] = strings
        self._packed: bytes | None = None
        if _are_long(strings):
            self.size = LIST_HEAD + STRING_HEAD * len(strings) + sum(map(len, strings))
            _check_lengths(strings)
        else:
            self._packed = marshal.dumps(strings, _VERSION)
            self.size = len(self._packed)

    def write(self, segment: Segment, offset: int) -> None:
        """Copy them into `size` bytes of shared memory."""
        memory = segment.memory
        segment.bytes_copied += self.size
        if self._packed is not None:
            memory[offset : offset + self.size] = self._packed
            segment.bytes_copied += self.size
            return
        _HEAD.pack_into(memory, offset, LIST_TAG, len(self._strings))
        offset += LIST_HEAD
        for string in self._strings:
            _HEAD.pack_into(memory, offset, STRING_TAG, len(string))
            offset += STRING_HEAD
            memory[offset : offset + len(string)] = string
            offset += len(string)


def _are_long(strings: Sequence[bytes]) -> bool:
    some = strings[:: max(1, len(strings) // _LOOKED_AT)]
    return sum(map(len, some)) > _LONG * len(some)


def _check_lengths(strings: Sequence[bytes]) -> None:
    for index, string in enumerate(strings):
        if len(string) > _LONGEST:
            raise ValueError(
                f"element {index} has {len(string)} bytes; strings have to be shorter than 4 GiB"
            )


def _as_bytes(string: Any, index: int) -> bytes:
    if isinstance(string, str):
        return string.encode()
    if isinstance(string, (bytes, bytearray, memoryview)):
        return bytes(string)
    raise ValueError(
        f"element {index} of an array of objects is of type {type(string).__qualname__}. "
        "Only bytes as objects dtype are supported, and str, which becomes UTF-8"
    )
