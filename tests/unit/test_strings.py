# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.request import Array
from pytriton.worker.memory import Segment
from pytriton.worker.strings import EncodedStrings, read_strings

START = 192


@pytest.fixture
def segment() -> Iterator[Segment]:
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, 1 << 26)
    yield Segment(descriptor, 1 << 26)
    os.close(descriptor)


def objects(*strings: Any) -> Array:
    array = np.empty(len(strings), object)
    array[:] = strings
    return array


def there_and_back(segment: Segment, array: Array) -> Array:
    encoded = EncodedStrings(array)
    encoded.write(segment, START)
    return read_strings(segment, array.shape, START, encoded.size)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (objects(b"one", b"", b"\0nul\0", b"\xff\xfe"), [b"one", b"", b"\0nul\0", b"\xff\xfe"]),
        (objects("text", b"bytes", "żółw"), [b"text", b"bytes", "żółw".encode()]),
        (objects(bytearray(b"ab"), memoryview(b"cd"), np.bytes_(b"e")), [b"ab", b"cd", b"e"]),
        (np.array(["text", "żółw", ""]), [b"text", "żółw".encode(), b""]),
        (np.array([b"a", b"longer"]), [b"a", b"longer"]),
        (objects(), []),
        (objects(b"", b""), [b"", b""]),
        (objects(b"a", b"b", b"c")[::-2], [b"c", b"a"]),
        (np.array([[b"a", b"b"], [b"c", b"d"]], object).T, [[b"a", b"c"], [b"b", b"d"]]),
        (np.array(b"alone", object), b"alone"),
        (np.empty((0, 3), object), []),
    ],
)
def test_round_trip(segment: Segment, array: Array, expected: list[Any]) -> None:
    back = there_and_back(segment, array)
    assert back.dtype == object
    assert back.shape == array.shape
    assert back.tolist() == expected


def test_many_short_strings(segment: Segment) -> None:
    strings = objects(*(b"x" * (index % 37) for index in range(10_000)))
    assert there_and_back(segment, strings).tolist() == strings.tolist()


def test_large_strings_are_copied_once(segment: Segment) -> None:
    strings = objects(b"a" * 10_000_000, b"", b"b" * 10_000_000)
    encoded = EncodedStrings(strings)
    encoded.write(segment, START)
    assert segment.bytes_copied == encoded.size == 20_000_000 + 5 + 3 * 5
    assert read_strings(segment, (3,), START, encoded.size).tolist() == strings.tolist()


@pytest.mark.parametrize("wrong", [None, 3, 1.5, ["a"], np.zeros(2)])
def test_other_objects_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=rf"element 1 .* {type(wrong).__name__}.*Only bytes as objects"):
        EncodedStrings(objects(b"fine", wrong))


def test_text_that_is_no_unicode() -> None:
    with pytest.raises(UnicodeEncodeError):
        EncodedStrings(objects("\ud800"))
