# SPDX-License-Identifier: Apache-2.0
"""BYTES tensors on the wire: each string behind its length in four bytes, little-endian."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["pack_strings", "unpack_strings"]

_MANY: Final = 64
_SHORT: Final = 255
# What stands in place of a length while bytes.join and bytes.split do the work: the first one begins with a
# byte that UTF-8 never has, the second one has the zeros that lengths of short strings have.
_JOINT: Final = b"\xff\0\0\0"
_SEAM: Final = b"\1\0\0\0"
_LENGTH: Final = struct.Struct("<I")


class _Prefixes(dict[int, bytes]):
    """Length prefixes, made once for each length: looking one up costs less than packing it."""

    def __missing__(self, length: int) -> bytes:
        prefix = self[length] = _LENGTH.pack(length)
        return prefix


def pack_strings(array: npt.NDArray[Any]) -> bytes | bytearray:
    """Put strings behind their lengths.

    Args:
        array: Objects that are bytes or str, or an array of either; str becomes UTF-8.
    """
    strings: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "U":
        strings = [string.encode() for string in strings]
    if list(map(type, strings)).count(bytes) != len(strings):
        strings = [_as_bytes(string, index) for index, string in enumerate(strings)]
    if len(strings) >= _MANY and (many := _pack_many(strings)) is not None:
        return many
    lengths = list(map(len, strings))
    pieces = [b""] * (2 * len(strings))
    pieces[0::2] = map(_Prefixes().__getitem__, lengths)
    pieces[1::2] = strings
    return b"".join(pieces)


def _pack_many(strings: list[bytes]) -> bytearray | None:
    """Short strings without the byte of joints, which are joined in one call; None for others."""
    if max(map(len, strings[:: len(strings) // _MANY])) > _SHORT:
        return None
    joined = bytearray(_JOINT).join([b"", *strings])
    packed = np.frombuffer(joined, np.uint8)
    joints = np.flatnonzero(packed == _JOINT[0])
    if len(joints) != len(strings):
        return None
    lengths = np.diff(joints, append=len(packed)) - _LENGTH.size
    packed[joints] = lengths & 0xFF
    for byte in range(1, (int(lengths.max()).bit_length() + 7) // 8):
        packed[joints + byte] = lengths >> 8 * byte & 0xFF
    return joined


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
    """Short strings without zero bytes, which are split in one call; None for others."""
    packed = np.frombuffer(data, np.uint8)
    lengths = _find_lengths(packed, count)
    if lengths is None:
        return None
    seamed = packed[_LENGTH.size :].copy()
    seamed[lengths[1:] - _LENGTH.size] = _SEAM[0]
    strings = seamed.tobytes().split(_SEAM)
    return np.fromiter(strings, np.dtype(object), count) if len(strings) == count else None


def _find_lengths(packed: npt.NDArray[np.uint8], count: int) -> npt.NDArray[Any] | None:
    """Where the lengths of short strings are, found by the zeros in them; None where they cannot be told."""
    if len(packed) < count * _LENGTH.size:
        return None
    zero = packed == 0
    lengths = np.flatnonzero(zero[1:-2] & zero[2:-1] & zero[3:])
    if len(lengths) != count:
        # An empty string's length makes the byte before it look like one.
        lengths = lengths[np.diff(lengths, append=len(packed)) != 1]
    if len(lengths) != count or lengths[0] != 0:
        return None
    ends = lengths + _LENGTH.size + packed[lengths]
    if ends[-1] != len(packed) or not np.array_equal(ends[:-1], lengths[1:]):
        return None
    return lengths


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
