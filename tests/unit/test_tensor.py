# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import Tensor


def test_the_positional_order_is_shape_dtype_name_optional() -> None:
    tensor = Tensor((-1, 3), np.float32, "x", True)

    assert (tensor.shape, tensor.dtype, tensor.name, tensor.optional) == ((-1, 3), np.float32, "x", True)


def test_the_defaults_are_no_name_and_not_optional() -> None:
    tensor = Tensor(shape=(1,), dtype=bytes)

    assert tensor.name is None
    assert tensor.optional is False


@pytest.mark.parametrize("field", ["shape", "dtype", "name", "optional"])
def test_a_tensor_is_frozen(field: str) -> None:
    tensor = Tensor((2, 1), np.float32, "variable")

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(tensor, field, None)


def test_equal_tensors_are_one_key() -> None:
    spellings = [
        Tensor((2,), np.float32),
        Tensor([2], "float32"),  # type: ignore[arg-type]
        Tensor((np.int64(2),), np.dtype("f4")),  # type: ignore[arg-type]
        Tensor((2,), "FP32"),
    ]

    assert len(set(spellings)) == 1


def test_a_tensor_survives_pickling() -> None:
    tensor = Tensor((-1,), np.dtype("int8"), "x")

    assert pickle.loads(pickle.dumps(tensor)) == tensor


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.dtype("float32"), np.float32),
        (np.dtype("O"), np.object_),
        (np.dtype("S5"), np.bytes_),
        (np.dtype("bool"), np.bool_),
        (object, object),
        (bytes, bytes),
        (np.bytes_, np.bytes_),
        (str, str),
        ("int64", np.int64),
        (float, np.float64),
    ],
)
def test_the_dtype_becomes_a_scalar_type(given: Any, kept: type[Any]) -> None:
    assert Tensor((1,), given).dtype is kept


def test_the_datatype_is_a_row_of_the_table() -> None:
    assert Tensor((1,), bytes).datatype.name == "BYTES"
    assert Tensor((1,), np.float16).datatype.name == "FP16"


def test_an_unsupported_dtype_is_refused_with_the_name_of_the_tensor() -> None:
    with pytest.raises(
        PyTritonValidationError, match=r'tensor "image": The dtype .*complex64.* not supported'
    ):
        Tensor((1,), np.complex64, "image")


@pytest.mark.parametrize("shape", [(), (1,), (-1,), (2, -1, 3), (2**63 - 1,), (1,) * 16])
@pytest.mark.parametrize("kind", [tuple, list])
def test_shapes_become_tuples_of_int(shape: tuple[int, ...], kind: Any) -> None:
    tensor = Tensor(kind(shape), np.int8)

    assert tensor.shape == shape
    assert type(tensor.shape) is tuple
    assert all(type(dimension) is int for dimension in tensor.shape)


def test_an_iterator_is_a_shape() -> None:
    assert Tensor(iter(np.zeros((2, 3)).shape), np.int8).shape == (2, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("dimension", [0, -2, 2**63, 1.0, "1", None, True, (1,)])
def test_a_dimension_is_an_integer_of_one_or_more_or_minus_one(dimension: Any) -> None:
    with pytest.raises(
        PyTritonValidationError, match=r'tensor "x": a dimension must be .* 1 or more, or -1 .*got'
    ) as error:
        Tensor((2, dimension), np.int8, "x")
    assert error.value.message.endswith(f"got {dimension!r}.")


@pytest.mark.parametrize("shape", [3, None, "34", b"3", 1.5])
def test_a_shape_is_a_sequence(shape: Any) -> None:
    with pytest.raises(PyTritonValidationError, match="the shape must be a tuple of dimensions"):
        Tensor(shape, np.int8)


def test_a_shape_has_at_most_sixteen_dimensions() -> None:
    with pytest.raises(PyTritonValidationError, match="17 dimensions, at most 16"):
        Tensor((1,) * 17, np.int8)


@pytest.mark.parametrize("name", ["x", "INPUT__0", "a b", "a/b", "é☃", '"quoted"', "a" * 500])
def test_names_are_any_printable_text(name: str) -> None:
    assert Tensor((1,), np.int8, name).name == name


@pytest.mark.parametrize("name", ["a\n", "\n", "a\tb", "\x00", "a\x7f", "a\x85", "\ud800"])
def test_names_with_control_characters_are_refused(name: str) -> None:
    with pytest.raises(PyTritonValidationError, match="control characters"):
        Tensor((1,), np.int8, name)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(PyTritonValidationError, match="empty name"):
        Tensor((1,), np.int8, "")


@pytest.mark.parametrize("name", [1, b"x", ("x",)])
def test_a_name_is_a_string(name: Any) -> None:
    with pytest.raises(PyTritonValidationError, match="name must be a string"):
        Tensor((1,), np.int8, name)
