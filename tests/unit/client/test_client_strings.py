# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from pytriton.client._core.strings import pack_strings, unpack_strings


def objects(*strings: Any) -> np.ndarray[Any, Any]:
    array = np.empty(len(strings), object)
    array[:] = strings
    return array


@pytest.mark.parametrize(
    "strings",
    [
        [],
        [b""],
        [b"", b""],
        [b"one"],
        [b"a", b"", b"\0nul\0", b"\xff\xfe"],
        [b"same", b"size", b"here"],
        [b"x" * 100_000, b"y"],
        [b"\0\0\0\0", b"\1\0\0\0"],
        [random.Random(0).randbytes(size % 37) for size in range(1000)],
    ],
)
def test_round_trip_as_tritonclient_has_it(strings: list[bytes]) -> None:
    packed = pack_strings(objects(*strings))
    theirs = serialize_byte_tensor(objects(*strings))
    assert packed == (theirs.item() if theirs.size else b"")
    for data in (packed, bytearray(packed), memoryview(packed)):
        unpacked = unpack_strings(data, len(strings))
        assert unpacked.dtype == object
        assert unpacked.tolist() == strings
    assert deserialize_bytes_tensor(packed).tolist() == strings


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array(["text", "żółw", ""]), [b"text", "żółw".encode(), b""]),
        (np.array([b"a", b"longer"]), [b"a", b"longer"]),
        (
            objects("text", b"bytes", bytearray(b"c"), memoryview(b"d"), np.bytes_(b"e")),
            [b"text", b"bytes", b"c", b"d", b"e"],
        ),
        (np.array([[b"a", b"b"], [b"c", b"d"]], object).T, [b"a", b"c", b"b", b"d"]),
        (np.array("alone"), [b"alone"]),
    ],
)
def test_what_can_be_packed(array: np.ndarray[Any, Any], expected: list[bytes]) -> None:
    assert unpack_strings(pack_strings(array), array.size).tolist() == expected


@pytest.mark.parametrize("wrong", [None, 3, 1.5, ["a"]])
def test_other_objects_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=f"element 1 is of type {type(wrong).__name__}"):
        pack_strings(objects(b"fine", wrong))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 1),
        (b"\1\0\0\0", 1),
        (b"\1\0\0", 1),
        (b"\x0a\0\0\0abcd", 1),
        (b"\x0a\0\0\0abcd", 2),
        (b"\1\0\0\0a\1\0\0\0b", 1),
        (b"\1\0\0\0a", 2),
        (b"\1\0\0\0a", 0),
        (b"\xff\xff\xff\xffabcd", 1),
        (b"\1\0\0\0a\2\0\0\0b", 2),
    ],
)
def test_malformed_data_is_refused(data: bytes, count: int) -> None:
    with pytest.raises(ValueError, match=f"{len(data)} bytes do not hold {count} strings"):
        unpack_strings(data, count)


@pytest.mark.parametrize("alphabet", [b"ab", b"\0a", b"\0", b"s", b"s\0\1", b"\0\xff", b"\1\0"])
@pytest.mark.parametrize("longest", [0, 3, 40, 300, 70_000])
def test_many_strings(alphabet: bytes, longest: int) -> None:
    chance = random.Random(f"{alphabet!r} {longest}")
    for _ in range(50 if longest < 1000 else 1):
        strings = [bytes(chance.choices(alphabet, k=chance.randint(0, longest))) for _ in range(100)]
        array = np.empty(len(strings), object)
        array[:] = strings
        packed = pack_strings(array)
        assert packed == b"".join(struct.pack("<I", len(string)) + string for string in strings)
        assert unpack_strings(memoryview(packed), 100).tolist() == strings
        broken = bytearray(packed)
        broken[chance.randrange(len(broken))] ^= chance.randint(1, 255)
        for data, count in ((bytes(broken), 100), (packed[:-1], 100), (packed, 101), (packed, 99)):
            assert _unpacked(data, count) == _one_by_one(data, count)


def _unpacked(data: bytes | bytearray, count: int) -> list[bytes] | None:
    try:
        strings: list[bytes] = unpack_strings(data, count).tolist()
    except ValueError:
        return None
    return strings


def _one_by_one(data: bytes | bytearray, count: int) -> list[bytes] | None:
    strings: list[bytes] = []
    position = 0
    for _ in range(count):
        length = int.from_bytes(data[position : position + 4], "little")
        if position + 4 + length > len(data):
            return None
        strings.append(bytes(data[position + 4 : position + 4 + length]))
        position += 4 + length
    return strings if position == len(data) else None
