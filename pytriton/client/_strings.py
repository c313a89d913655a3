# SPDX-License-Identifier: Apache-2.0
"""BYTES tensors on the wire: each string behind its length in four bytes, little-endian."""

from __future__ import annotations

import marshal
import operator
import struct
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["pack_strings", "unpack_strings"]

_MANY: Final = 64
_SHORT: Final = 255
# A list of bytes in the format of marshal: a tag and the count; for each string a tag, then as on the wire.
_VERSION: Final = 2
_LIST_HEAD: Final = 5
_TAG: Final = b"s"
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
    if operator.countOf(map(type, strings), bytes) != len(strings):
        strings = [_as_bytes(string, index) for index, string in enumerate(strings)]
    if len(strings) >= _MANY and (many := _pack_many(strings)) is not None:
        return many
    lengths = list(map(len, strings))
    pieces = [b""] * (2 * len(strings))
    pieces[0::2] = map(_Prefixes().__getitem__, lengths)
    pieces[1::2] = strings
    return b"".join(pieces)


def _pack_many(strings: list[bytes]) -> bytes | None:
    """Short strings without zero bytes, of which marshal makes a list in one call; None for others."""
    if max(map(len, strings[:: len(strings) // _MANY])) > _SHORT:
        return None
    marshalled = np.frombuffer(marshal.dumps(strings, _VERSION), np.uint8)
    lengths = _find_lengths(marshalled, len(strings), _LIST_HEAD, len(_TAG))
    if lengths is None:
        return None
    is_packed = np.ones(len(marshalled), np.bool_)
    is_packed[:_LIST_HEAD] = False
    is_packed[lengths - len(_TAG)] = False
    return marshalled[is_packed].tobytes()


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
    """Short strings without zero bytes, of which marshal reads a list in one call; None for others."""
    packed = np.frombuffer(data, np.uint8)
    lengths = _find_lengths(packed, count, 0, 0)
    if lengths is None:
        return None
    marshalled = np.full(_LIST_HEAD + count + len(packed), ord(_TAG), np.uint8)
    marshalled[:_LIST_HEAD] = np.frombuffer(b"[" + _LENGTH.pack(count), np.uint8)
    is_packed = np.ones(len(marshalled), np.bool_)
    is_packed[:_LIST_HEAD] = False
    is_packed[lengths + np.arange(_LIST_HEAD, _LIST_HEAD + count)] = False
    marshalled[is_packed] = packed
    return np.fromiter(marshal.loads(marshalled.tobytes()), np.dtype(object), count)


def _find_lengths(array: npt.NDArray[np.uint8], count: int, start: int, tag: int) -> npt.NDArray[Any] | None:
    """Where the lengths of short strings are, found by the zeros in them; None where they cannot be told.

    Args:
        array: From `start` on strings, each behind a tag of so many bytes, and its length.
        count: How many they are.
        start: Where the first one begins.
        tag: Bytes of a tag.
    """
    if len(array) < start + count * (tag + _LENGTH.size):
        return None
    zero = array[start:] == 0
    lengths = np.flatnonzero(zero[1:-2] & zero[2:-1] & zero[3:])
    if len(lengths) != count:
        # An empty string's length makes the byte before it look like one.
        lengths = lengths[np.append(np.diff(lengths) != 1, True)]
    lengths += start
    if len(lengths) != count or lengths[0] != start + tag:
        return None
    ends = lengths + _LENGTH.size + array[lengths]
    if ends[-1] != len(array) or not np.array_equal(ends[:-1] + tag, lengths[1:]):
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
