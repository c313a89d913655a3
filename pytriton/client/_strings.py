# SPDX-License-Identifier: Apache-2.0
"""BYTES tensors on the wire: each string behind its length in four bytes, little-endian."""

from __future__ import annotations

import marshal
import struct
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["pack_strings", "unpack_strings"]

_MANY: Final = 64
_HEAD: Final = 5
_LENGTH: Final = struct.Struct("<I")


class _Prefixes(dict[int, bytes]):
    """Length prefixes, made once for each length: looking one up costs less than packing it."""

    def __missing__(self, length: int) -> bytes:
        prefix = self[length] = _LENGTH.pack(length)
        return prefix


def pack_strings(array: npt.NDArray[Any]) -> bytes:
    """Put strings behind their lengths.

    Args:
        array: Objects that are bytes or str, or an array of either; str becomes UTF-8.
    """
    strings: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "U":
        strings = [string.encode() for string in strings]
    try:
        return _pack(strings)
    except TypeError:  # some are no bytes
        return _pack([_as_bytes(string, index) for index, string in enumerate(strings)])


def _pack(strings: list[Any]) -> bytes:
    lengths = list(map(len, strings))
    pieces = [b""] * (2 * len(strings))
    pieces[0::2] = map(_Prefixes().__getitem__, lengths)
    pieces[1::2] = strings
    # Looks at each of them on the way; views may have other lengths than their bytes.
    packed = b"".join(pieces)
    if len(packed) != _LENGTH.size * len(strings) + sum(lengths):
        raise TypeError
    return packed


def unpack_strings(data: Any, count: int) -> npt.NDArray[Any]:
    """Take strings from behind their lengths, as an array of bytes objects.

    Args:
        data: Buffer with the strings.
        count: How many they are.
    """
    size = len(data)
    if count and size % count == 0 and (same := _unpack_same_lengths(data, count)) is not None:
        return same
    if count >= _MANY and (many := _unpack_many(data, count)) is not None:
        return many
    read, number = BytesIO(data).read, int.from_bytes
    strings = [read(number(read(4), "little")) for _ in range(count)]
    whole = 4 * count + sum(map(len, strings)) == size
    # Of a cut string less is read than its length says; if it is not the last one, the sum above is wrong.
    if not whole or (count and _LENGTH.unpack_from(data, size - len(strings[-1]) - 4)[0] != len(strings[-1])):
        raise ValueError(f"{size} bytes do not hold {count} strings with their lengths")
    return np.fromiter(strings, np.dtype(object), count)


def _unpack_many(data: Any, count: int) -> npt.NDArray[Any] | None:
    """Short strings without zero bytes, where lengths are found by their zeros; None for others."""
    array = np.frombuffer(data, np.uint8)
    if len(array) < 4 * count:
        return None
    zero = array == 0
    starts = np.flatnonzero(zero[1:-2] & zero[2:-1] & zero[3:])
    if len(starts) != count:
        # An empty string's length makes the byte before it look like one.
        starts = starts[np.append(np.diff(starts) != 1, True)]
    if len(starts) != count or starts[0] != 0:
        return None
    ends = starts + 4 + array[starts]
    if ends[-1] != len(array) or not np.array_equal(ends[:-1], starts[1:]):
        return None
    # In Python's marshal format a list of bytes is the same, with an "s" before each length.
    marshalled = np.full(_HEAD + count + len(array), ord("s"), np.uint8)
    marshalled[:_HEAD] = np.frombuffer(b"[" + _LENGTH.pack(count), np.uint8)
    is_string = np.ones(len(marshalled), np.bool_)
    is_string[:_HEAD] = False
    is_string[starts + np.arange(_HEAD, _HEAD + count)] = False
    marshalled[is_string] = array
    return np.fromiter(marshal.loads(marshalled.tobytes()), np.dtype(object), count)


def _unpack_same_lengths(data: Any, count: int) -> npt.NDArray[Any] | None:
    width = len(data) // count - 4
    if width <= 0 or _LENGTH.unpack_from(data)[0] != width:
        return None
    rows = np.frombuffer(data, np.dtype([("length", "<u4"), ("string", f"V{width}")]), count)
    if not (rows["length"] == width).all():
        return None
    return np.fromiter(rows["string"].tolist(), np.dtype(object), count)


def _as_bytes(string: Any, index: int) -> bytes:
    if isinstance(string, str):
        return string.encode()
    if isinstance(string, (bytes, bytearray, memoryview)):
        return bytes(string)
    raise ValueError(
        f"element {index} is of type {type(string).__qualname__}; only bytes, and str, which becomes UTF-8, "
        "can be sent as strings"
    )
