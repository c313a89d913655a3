# SPDX-License-Identifier: Apache-2.0
"""BYTES tensors on the wire: each string behind its length in four bytes, little-endian."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["pack_strings", "unpack_strings"]

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
    elif array.dtype.kind == "O" and not set(map(type, strings)) <= {bytes}:
        strings = [_as_bytes(string, index) for index, string in enumerate(strings)]
    pieces = [b""] * (2 * len(strings))
    pieces[0::2] = map(_Prefixes().__getitem__, map(len, strings))
    pieces[1::2] = strings
    return b"".join(pieces)


def unpack_strings(data: Any, count: int) -> npt.NDArray[Any]:
    """Take strings from behind their lengths, as an array of bytes objects.

    Args:
        data: Buffer with the strings.
        count: How many they are.
    """
    size = len(data)
    if count and size % count == 0 and (same := _unpack_same_lengths(data, count)) is not None:
        return same
    read, number = BytesIO(data).read, int.from_bytes
    strings = [read(number(read(4), "little")) for _ in range(count)]
    whole = 4 * count + sum(map(len, strings)) == size
    # Of a cut string less is read than its length says; if it is not the last one, the sum above is wrong.
    if not whole or (count and _LENGTH.unpack_from(data, size - len(strings[-1]) - 4)[0] != len(strings[-1])):
        raise ValueError(f"{size} bytes do not hold {count} strings with their lengths")
    return np.fromiter(strings, np.dtype(object), count)


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
