# SPDX-License-Identifier: Apache-2.0
"""Arrays to what a function takes, and what it returns to arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from pytriton import dtypes
from pytriton.app.agreement import OutputDimensions, Sizes
from pytriton.app.tensor_type import Form, TensorType
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.request import Array

__all__ = ["Decode", "Encoder", "batch_decoder", "row_decoder"]

Decode: TypeAlias = Callable[[Any], Any]


def batch_decoder(kind: TensorType, where: str) -> Decode | None:
    """What makes the argument of a function that is typed per batch of an array; None if it is that."""
    if kind.form is Form.ARRAY:
        return (lambda array: _as_text(array, where)) if kind.element is np.str_ else None
    if kind.element is str:
        return lambda array: [_text(value, where) for value in array.tolist()]
    return list if issubclass(kind.element, np.generic) else _to_list


def row_decoder(kind: TensorType, where: str) -> Decode | None:
    """What makes the argument of a function that is typed per sample of a row; None if it is that."""
    if kind.form is not Form.SCALAR:
        return batch_decoder(kind, where)
    if kind.element is str:
        return lambda value: _text(value, where)
    return _item if kind.element in (bool, int, float) else None


class Encoder:
    """Makes the array of one output of what a function returned for it."""

    def __init__(self, kind: TensorType, where: str, dimensions: OutputDimensions) -> None:
        self._form = kind.form
        self._where = where
        self._check = dimensions.check
        self._element = kind.element
        self._is_text = kind.datatype is dtypes.BYTES
        self._dtype: np.dtype[Any] = np.dtype(object) if self._is_text else kind.datatype.numpy_dtype

    def encode(self, value: Any, sizes: Sizes) -> Array:
        """The array of a value, whose shape and dtype are as annotated."""
        array = value if self._form is Form.ARRAY else self._from_python(value)
        if type(array) is not np.ndarray and not isinstance(array, np.ndarray):
            raise self._error(f"got an object of type {_name(array)}; expected a numpy.ndarray")
        if array.dtype is not self._dtype and array.dtype != self._dtype:
            self._check_dtype(array.dtype)
        self._check(array.shape, sizes)
        return array

    def stack(self, rows: Sequence[Array]) -> Array:
        """One array of those of the rows, which have one shape."""
        if len(rows) == 1:
            return rows[0][None]
        if self._form is Form.SCALAR:  # faster than np.stack, and they have one dtype
            stacked = np.empty(len(rows), self._dtype)
            stacked[:] = [row[()] for row in rows]
            return stacked
        shape = rows[0].shape
        # Half of the time of np.stack, which makes arrays of one more dimension of all first.
        return np.concatenate(rows).reshape(len(rows), *shape) if shape else np.stack(rows)

    def _from_python(self, value: Any) -> Array:
        if self._form is Form.SCALAR:
            return self._of_scalar(value)
        if not isinstance(value, (list, tuple)):
            raise self._error(f"got an object of type {_name(value)}; expected a list")
        for index, element in enumerate(value):
            self._check_element(element, f"element {index} is")
        if self._is_text:
            return np.fromiter(value, self._dtype, len(value))
        return self._array(value)

    def _of_scalar(self, value: Any) -> Array:
        self._check_element(value, "got")
        if self._is_text:
            array = np.empty((), self._dtype)
            array[()] = value
            return array
        return self._array(value)

    def _array(self, value: Any) -> Array:
        try:
            return np.array(value, self._dtype)
        except OverflowError:
            raise self._error(f"got an integer beyond the range of {self._dtype}") from None
        except (TypeError, ValueError) as error:
            raise self._error(f"no {self._dtype} can be made of {value!r}: {error}") from None

    def _check_element(self, value: Any, what: str) -> None:
        if type(value) is self._element and self._element is not int:  # which may have too many bits
            return
        if self._is_text:
            if not isinstance(value, (str, bytes)):
                raise self._error(f"{what} an object of type {_name(value)}; expected str or bytes")
            return
        given = np.result_type(value) if isinstance(value, (bool, int, float, np.generic)) else None
        if given is not None and given.kind == "O":
            raise self._error(f"{what} an integer beyond 64 bits; expected {self._element.__name__}")
        if given is None or not _fits(given, self._dtype):
            raise self._error(f"{what} {value!r}; expected {self._element.__name__}")

    def _check_dtype(self, given: np.dtype[Any]) -> None:
        fits = given.kind in "SUO" if self._is_text else _fits(given, self._dtype)
        if not fits:
            expected = "bytes or str" if self._is_text else str(self._dtype)
            raise self._error(f"got dtype {given} where {expected} is annotated")

    def _error(self, what: str) -> PyTritonInferenceError:
        return PyTritonInferenceError(f"{self._where}: {what}.")


def _fits(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether conversion keeps the kind: precision may be lost, as anywhere in NumPy, meaning may not."""
    if given.kind in "SUO":
        return False
    # Not NumPy's "same_kind": that lets nothing become unsigned.
    if given.kind in "iu" and wanted.kind in "iu":
        return True
    return bool(np.can_cast(given, wanted, "same_kind"))


def _to_list(array: Array) -> Any:
    return array.tolist()


def _item(value: Any) -> Any:
    return value.item()


def _text(value: bytes, where: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise PyTritonInferenceError(
            f"{where}: a string is not UTF-8: {error}.", ErrorCode.INVALID_ARG
        ) from None


def _as_text(array: Array, where: str) -> Array:
    strings = [_text(value, where) for value in array.ravel().tolist()]
    return np.array(strings, np.str_).reshape(array.shape)


def _name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
