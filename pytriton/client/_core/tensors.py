# SPDX-License-Identifier: Apache-2.0
"""Values that a user gives to arrays that a model takes, and bytes of the wire to arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pytriton import dtypes
from pytriton.client._core import advice
from pytriton.client._core.strings import pack_strings, unpack_strings
from pytriton.client.exceptions import PyTritonClientInputError

__all__ = ["Array", "Buffer", "TensorData", "as_array", "decode_data", "decode_list", "encode_array"]

Array = npt.NDArray[Any]
Buffer = bytes | bytearray | memoryview
_NUMBERS: Final = "biuf"


@dataclass(slots=True)
class TensorData:
    """One input of a request, ready for the wire."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Buffer
    region: tuple[str, int, int] | None = None
    """Name of a registered shared-memory region with the data in it, byte size and offset."""


def as_array(value: Any, datatype: dtypes.DataType, where: str) -> Array:
    """Make an array of the model's datatype; numbers keep their values or are refused."""
    array: Array
    if type(value) is np.ndarray:
        array = value
    else:
        _check_mask(value, where)
        kept = isinstance(value, np.ndarray)
        array = np.asarray(value) if kept else _from_anything(value, datatype, where)
    if datatype is dtypes.BYTES:
        if array.dtype.kind not in "SUO":
            raise PyTritonClientInputError(
                f"{where}: the model takes strings (BYTES), got an array of {array.dtype}; "
                f"{advice.CAST_TO_BYTES}."
            )
        return array
    target = datatype.numpy_dtype
    return array if array.dtype == target else _cast(array, target, datatype, where)


def encode_array(array: Array, datatype: dtypes.DataType, where: str) -> Buffer:
    """The bytes of an array on the wire; numbers of contiguous arrays are not copied."""
    if datatype is dtypes.BYTES:
        try:
            return pack_strings(array)
        except ValueError as error:  # UnicodeEncodeError is one
            raise PyTritonClientInputError(f"{where}: {error}.") from None
    contiguous = np.ascontiguousarray(array)
    if contiguous.size < 64:
        return contiguous.tobytes()
    flat: Any = contiguous.reshape(-1).view(np.uint8)
    return memoryview(flat)


def decode_data(data: Buffer, datatype: dtypes.DataType, shape: Sequence[int]) -> Array:
    """The array over bytes from the wire; they are not copied, except for strings."""
    count = _count(shape)
    if datatype is dtypes.BYTES:
        return unpack_strings(data, count).reshape(shape)
    expected = count * datatype.byte_size
    if len(data) != expected:
        raise ValueError(f"{len(data)} bytes for {datatype.name} of shape {list(shape)}, expected {expected}")
    return np.frombuffer(data, datatype.numpy_dtype).reshape(shape)


def decode_list(values: Iterable[Any], datatype: dtypes.DataType, shape: Sequence[int]) -> Array:
    """The array of values that came as a list; text becomes bytes."""
    if datatype is not dtypes.BYTES:
        if datatype.numpy_dtype.kind in "iub":
            _check_whole(values, datatype)
        array = np.array(values, datatype.numpy_dtype).ravel()
        _check_count(array.size, shape)
        return array.reshape(shape)
    flat = np.array(values, object).ravel()
    _check_count(flat.size, shape)
    array = np.empty(flat.size, object)
    array[:] = [value.encode() if isinstance(value, str) else value for value in flat]
    return array.reshape(shape)


def _check_whole(values: Iterable[Any], datatype: dtypes.DataType) -> None:
    given = np.array(values)
    if given.dtype.kind == "f" and (given % 1 != 0).any():
        raise ValueError(f"fractions for {datatype.name}")


def _check_count(count: int, shape: Sequence[int]) -> None:
    if count != _count(shape):
        raise ValueError(f"{count} values for shape {list(shape)}")


def _count(shape: Sequence[int]) -> int:
    if any(size < 0 for size in shape):
        raise ValueError(f"a shape of {list(shape)}")
    return math.prod(shape)


def _check_mask(value: Any, where: str) -> None:
    """Tensors have none, and what is behind it is anything; where it hides nothing, nothing is lost."""
    several = value if isinstance(value, (list, tuple)) else ()
    arrays = several if len(several) and isinstance(several[0], np.ndarray) else (value,)
    if any(isinstance(array, np.ndarray) and np.ma.is_masked(array) for array in arrays):
        raise PyTritonClientInputError(
            f"{where}: got a masked array with elements that are masked, and tensors have no masks; give "
            "array.filled(value) with a value that stands for them, or the mask as an input of its own."
        )


def _from_anything(value: Any, datatype: dtypes.DataType, where: str) -> Array:
    if value is None:
        raise PyTritonClientInputError(
            f"{where}: got None; an optional input is left out if it has no value."
        )
    if isinstance(value, (dict, set, frozenset)):
        raise PyTritonClientInputError(
            f"{where}: expected an array or what can be made one, got {type(value).__name__}."
        )
    try:
        if datatype is dtypes.BYTES:
            return _strings_from(value)
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        why = "its parts differ in length" if "inhomogeneous" in str(error) else str(error).rstrip(".")
        raise PyTritonClientInputError(
            f"{where}: no array can be made of the {type(value).__name__} given: {why}."
        ) from None
    # Python's floats have no precision of their own: they take the model's, as they do in NumPy.
    target = datatype.numpy_dtype
    has_dtype = hasattr(value, "dtype") or hasattr(value, "__array__") or hasattr(value, "__dlpack__")
    if not has_dtype and array.dtype == np.float64 and np.issubdtype(target, np.floating):
        with np.errstate(over="ignore"):
            rounded = array.astype(target)
        if np.array_equal(np.isinf(rounded), np.isinf(array)):
            return rounded
    return array


def _strings_from(value: Any) -> Array:
    if isinstance(value, (str, bytes)):
        return np.array(value, object)
    if not isinstance(value, (list, tuple)):
        return np.asarray(value)
    # Not by way of NumPy's own strings, which lose zero bytes at the end.
    return np.array(value, object)


def _cast(array: Array, target: np.dtype[Any], datatype: dtypes.DataType, where: str) -> Array:
    source = array.dtype
    is_number = source.kind in _NUMBERS or source.name == "bfloat16"
    # NumPy takes float64 to be safe for integers of 64 bits, which it is not.
    if (
        is_number
        and np.can_cast(source, target, "safe")
        and (source.itemsize < 8 or source.kind == target.kind)
    ):
        return array.astype(target)
    if is_number and target.kind != "b":
        with np.errstate(all="ignore"):
            cast = array.astype(target)
            if _same_values(array, cast):
                return cast
    given = {"S": "strings", "U": "strings", "O": "something else than numbers"}.get(source.kind, source)
    raise PyTritonClientInputError(
        f"{where}: the model takes {datatype.name} ({target}), got {given}, whose values it cannot "
        f"hold without loss; {advice.CAST.format(dtype=target)}."
    )


def _same_values(array: Array, cast: Array) -> bool:
    back = cast.astype(array.dtype)
    if not np.array_equal(back, array, equal_nan=array.dtype.kind == "f"):
        return False
    # Beyond its range a number may come back by chance: as unsigned and signed, or if conversion saturates.
    if array.dtype.kind in "iu" and cast.dtype.kind not in "iu":
        return bool(np.all(cast.astype(np.float64) < float(np.iinfo(array.dtype).max) + 1))
    return bool(np.array_equal(array < 0, cast < 0))
