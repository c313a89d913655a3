# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton import dtypes
from pytriton.client._core.tensors import as_array, decode_data, decode_list, encode_array
from pytriton.client.exceptions import PyTritonClientValueError

WHERE = 'model "m", input "x"'


def converted(value: Any, name: str) -> Any:
    return as_array(value, dtypes.from_name(name), WHERE)


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ([1, 2], "FP32", [1.0, 2.0]),
        ([0.1, 0.2], "FP32", np.array([0.1, 0.2], np.float32).tolist()),
        ([0.1], "FP16", [float(np.float16(0.1))]),
        (3, "INT8", 3),
        ([True, False], "BOOL", [True, False]),
        ([True], "FP32", [1.0]),
        ([1.0, 2.0], "INT32", [1, 2]),
        (np.arange(3), "INT16", [0, 1, 2]),
        (np.arange(3), "UINT64", [0, 1, 2]),
        (np.array([1.5, float("inf")]), "FP32", [1.5, float("inf")]),
        (np.array([2**53]), "FP64", [float(2**53)]),
        (np.array([], np.float64), "INT8", []),
        (np.array([1.5], np.float16), "FP64", [1.5]),
        (range(3), "INT32", [0, 1, 2]),
        ((1, 2), "UINT8", [1, 2]),
    ],
)
def test_values_are_kept(value: Any, name: str, expected: Any) -> None:
    array = converted(value, name)
    assert array.dtype == dtypes.from_name(name).numpy_dtype
    assert array.tolist() == expected


def test_nan_and_negative_zero_are_kept() -> None:
    array = converted(np.array([np.nan, -0.0]), "FP32")
    assert np.isnan(array[0])
    assert np.signbit(array[1])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.array([0.1]), "FP32"),
        (np.array([1e300]), "FP32"),
        ([1e300], "FP32"),
        ([1.5], "INT32"),
        ([300], "UINT8"),
        ([-1], "UINT8"),
        (np.array([-1], np.int64), "UINT64"),
        (np.array([2**63], np.uint64), "INT64"),
        (np.array([2**63 - 1]), "FP64"),
        (np.array([2**31 - 1], np.int32), "FP32"),
        (np.array([2.0**63]), "INT64"),
        (np.array([np.nan]), "INT32"),
        (np.array([np.inf]), "INT64"),
        ([70000], "FP16"),
        ([1], "BOOL"),
        ([1j], "FP32"),
        (["1"], "FP32"),
        (np.array(["2020-01-01"], "datetime64[D]"), "INT64"),
        ([object()], "FP32"),
    ],
)
def test_what_would_change_is_refused(value: Any, name: str) -> None:
    with pytest.raises(PyTritonClientValueError, match=f"^{WHERE}: the model takes {name} .*without loss"):
        converted(value, name)


def test_what_was_given_is_told_in_words() -> None:
    for value, words in (
        (["1"], "got strings, whose"),
        ([None], "got something else than numbers, whose"),
        ([[1], [1, 2]], "no array can be made of the list given: its parts differ in length."),
    ):
        with pytest.raises(PyTritonClientValueError, match=words):
            converted(value, "FP32")


@pytest.mark.parametrize("value", [None, {"a": 1}, {1}, [[1], [1, 2]]])
def test_what_is_no_array(value: Any) -> None:
    with pytest.raises(PyTritonClientValueError, match=WHERE):
        converted(value, "FP32")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", b"text"),
        (["a", "ż"], [b"a", "ż".encode()]),
        ([b"nul\0"], [b"nul\0"]),
        (np.array(["a", "b"]), [b"a", b"b"]),
        ([["a"], ["b"]], [[b"a"], [b"b"]]),
    ],
)
def test_strings(value: Any, expected: Any) -> None:
    array = converted(value, "BYTES")
    data = encode_array(array, dtypes.BYTES, WHERE)
    assert decode_data(data, dtypes.BYTES, array.shape).tolist() == expected


@pytest.mark.parametrize("value", [np.arange(3), [1.5], [b"a", 3]])
def test_what_are_no_strings(value: Any) -> None:
    with pytest.raises(PyTritonClientValueError, match=WHERE):
        encode_array(converted(value, "BYTES"), dtypes.BYTES, WHERE)


MASKED = np.ma.masked_array([1.0, 99.0], mask=[False, True])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (MASKED, "FP64"),
        (MASKED, "FP32"),
        (MASKED.astype(np.int8), "INT8"),
        (np.ma.masked_array([b"a", b"b"], mask=[True, False], dtype=object), "BYTES"),
        (np.ma.masked, "FP64"),
        ([np.ones(2), MASKED], "FP64"),
        ((MASKED, MASKED), "FP64"),
    ],
)
def test_masks_are_refused(value: Any, name: str) -> None:
    with pytest.raises(
        PyTritonClientValueError, match=rf"{WHERE}: got a masked array.*array\.filled\(value\)"
    ):
        converted(value, name)


@pytest.mark.parametrize("mask", [np.ma.nomask, [False, False]])
def test_masks_that_hide_nothing(mask: Any) -> None:
    array = converted(np.ma.masked_array([1.0, 2.0], mask=mask), "FP64")
    assert type(array) is np.ndarray
    assert array.tolist() == [1, 2]


@pytest.mark.parametrize(
    "row", [row for row in dtypes.DATATYPES if row is not dtypes.BYTES], ids=lambda row: row.name
)
def test_numbers_there_and_back(row: dtypes.DataType) -> None:
    array = np.arange(6).reshape(2, 3).astype(row.numpy_dtype)
    for given in (array, array.T, array[:, ::2], np.zeros((0, 3), row.numpy_dtype)):
        back = decode_data(encode_array(given, row, WHERE), row, given.shape)
        assert back.dtype == given.dtype
        np.testing.assert_array_equal(back, given)
        np.testing.assert_array_equal(decode_list(given.tolist(), row, given.shape), given)


def test_large_arrays_are_not_copied() -> None:
    array = np.zeros(1000, np.float32)
    view = np.frombuffer(encode_array(array, dtypes.from_name("FP32"), WHERE), np.float32)
    assert np.shares_memory(array, view)


def test_bytes_that_do_not_fit_the_shape() -> None:
    with pytest.raises(ValueError, match=r"7 bytes for FP32 of shape \[2\], expected 8"):
        decode_data(bytes(7), dtypes.from_name("FP32"), [2])


@pytest.mark.parametrize(
    ("values", "datatype", "shape", "said"),
    [
        (["a"], "BYTES", [1, 5], r"1 values for shape \[1, 5\]"),
        ([], "BYTES", [2], r"0 values for shape \[2\]"),
        ([1, 2], "FP32", [1], r"2 values for shape \[1\]"),
        ([1.7], "INT32", [1], "fractions for INT32"),
    ],
)
def test_lists_that_do_not_fit(values: list[Any], datatype: str, shape: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode_list(values, dtypes.from_name(datatype), shape)


@pytest.mark.parametrize("values", [[2**64 - 1, 0], [2.0, 0]])
def test_lists_of_whole_numbers(values: list[Any]) -> None:
    array = decode_list(values, dtypes.from_name("UINT64"), [2])
    assert array.tolist() == values
