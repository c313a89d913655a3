# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton.decorators import ConstantPadder
from pytriton.exceptions import PyTritonRuntimeError


def pad(*arrays: Any, value: Any = 0) -> list[Any]:
    return [padded["y"] for padded in ConstantPadder(value)([{"y": array} for array in arrays])]


def test_every_dimension_but_the_batch() -> None:
    first, second = pad(np.ones((1, 3, 1), np.int8), np.ones((2, 1, 2), np.int8), value=7)
    assert first.tolist() == [[[1, 7]] * 3]
    assert second.tolist() == [[[1, 1], [7, 7], [7, 7]]] * 2
    assert first.dtype == second.dtype == np.int8
    assert ConstantPadder().pad_value == 0


@pytest.mark.parametrize(
    ("short", "long", "empty"),
    [("ab", "abcdef", ""), (b"ab", b"abcdef", b"")],
)
def test_strings_of_any_length(short: Any, long: Any, empty: Any) -> None:
    first, second = pad(np.array([[short]]), np.array([[long, short]]), value=7)
    assert first.tolist() == [[short, empty]]
    assert second.tolist() == [[long, short]]
    assert first.dtype == second.dtype == np.array(long).dtype
    objects, _ = pad(np.array([[short]], object), np.array([[long, short]], object), value=7)
    assert objects.tolist() == [[short, b""]]


def test_outputs_that_some_lack() -> None:
    padded = ConstantPadder()([{"y": np.ones((1, 1))}, {}, {"y": np.ones((1, 2)), "z": np.ones(1)}])
    assert [sorted(arrays) for arrays in padded] == [["y"], [], ["y", "z"]]
    assert padded[0]["y"].tolist() == [[1, 0]]
    assert padded[2]["z"].tolist() == [1]


def test_what_is_given_is_left_alone() -> None:
    given = [{"y": np.ones((1, 1))}, {"y": np.ones((1, 2))}]
    ConstantPadder()(given)[1]["y"][...] = 5
    assert [arrays["y"].tolist() for arrays in given] == [[[1]], [[1, 1]]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.ones((1, 2), np.float32), '"y" must have the same dtype to be padded, got .*float32'),
        (np.array([["a"]]), "must have the same dtype"),
        (np.ones((1, 2, 3)), r'"y" have different numbers of dimensions, .*\(1, 1\), \(1, 2, 3\)'),
    ],
)
def test_what_padding_cannot_make_equal(other: Any, message: str) -> None:
    with pytest.raises(PyTritonRuntimeError, match=message):
        pad(np.ones((1, 1)), other)
