# SPDX-License-Identifier: Apache-2.0
"""The one table of datatypes: protocol name, server number, configuration name, byte size, NumPy type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytriton.exceptions import PyTritonValidationError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "BYTES",
    "DATATYPES",
    "DataType",
    "from_config_name",
    "from_name",
    "from_number",
    "resolve",
    "scalar_type",
]


@dataclass(frozen=True, slots=True)
class DataType:
    """One datatype under all of its names."""

    name: str
    """Name in the v2 protocol, for example FP32."""
    number: int
    """TRITONSERVER_DataType of tritonserver.h."""
    config_name: str
    """Name in a model configuration, for example TYPE_FP32."""
    byte_size: int
    """Bytes of one element; 0 for BYTES, whose elements vary."""
    numpy_name: str

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of arrays that hold this datatype: object for BYTES."""
        if self.numpy_name == "bfloat16":
            return _bfloat16()
        return np.dtype(self.numpy_name)


DATATYPES: Final[tuple[DataType, ...]] = (
    DataType("BOOL", 1, "TYPE_BOOL", 1, "bool"),
    DataType("UINT8", 2, "TYPE_UINT8", 1, "uint8"),
    DataType("UINT16", 3, "TYPE_UINT16", 2, "uint16"),
    DataType("UINT32", 4, "TYPE_UINT32", 4, "uint32"),
    DataType("UINT64", 5, "TYPE_UINT64", 8, "uint64"),
    DataType("INT8", 6, "TYPE_INT8", 1, "int8"),
    DataType("INT16", 7, "TYPE_INT16", 2, "int16"),
    DataType("INT32", 8, "TYPE_INT32", 4, "int32"),
    DataType("INT64", 9, "TYPE_INT64", 8, "int64"),
    DataType("FP16", 10, "TYPE_FP16", 2, "float16"),
    DataType("FP32", 11, "TYPE_FP32", 4, "float32"),
    DataType("FP64", 12, "TYPE_FP64", 8, "float64"),
    DataType("BYTES", 13, "TYPE_STRING", 0, "object"),
    DataType("BF16", 14, "TYPE_BF16", 2, "bfloat16"),
)

_BY_NAME: Final = {row.name: row for row in DATATYPES}
_BY_NUMBER: Final = {row.number: row for row in DATATYPES}
_BY_CONFIG_NAME: Final = {row.config_name: row for row in DATATYPES}
BYTES: Final = _BY_NAME["BYTES"]
_BF16: Final = _BY_NAME["BF16"]

# Kind and size rather than identity: NumPy has several types of the same layout (np.longlong and np.int64).
_BY_LAYOUT: Final = {
    (row.numpy_dtype.kind, row.byte_size): row for row in DATATYPES if row is not BYTES and row is not _BF16
}
# np.dtype() turns every class it does not know into "object", so classes are admitted one by one.
_PYTHON_TYPES: Final[dict[type, DataType]] = {
    bool: _BY_NAME["BOOL"],
    int: _BY_NAME["INT64"],
    float: _BY_NAME["FP64"],
    bytes: BYTES,
    str: BYTES,
    object: BYTES,
}
# Of these np.dtype() would choose a member.
_FAMILIES: Final = (
    np.generic,
    np.number,
    np.integer,
    np.signedinteger,
    np.unsignedinteger,
    np.inexact,
    np.floating,
    np.complexfloating,
    np.flexible,
    np.character,
)
_SUPPORTED: Final = (
    "bool, uint8-uint64, int8-int64, float16, float32, float64, bfloat16 (with the package ml_dtypes), "
    "and bytes, str or object for strings"
)


def from_name(name: str) -> DataType:
    """Find a datatype by its v2 protocol name."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise PyTritonValidationError(
            f"Unknown datatype {name!r}; known are {', '.join(_BY_NAME)}."
        ) from None


def from_number(number: int) -> DataType:
    """Find a datatype by its TRITONSERVER_DataType number."""
    try:
        return _BY_NUMBER[number]
    except KeyError:
        raise PyTritonValidationError(f"Unknown datatype number {number!r}; known are 1 to 14.") from None


def from_config_name(name: str) -> DataType:
    """Find a datatype by its name in a model configuration, which starts with TYPE_."""
    try:
        return _BY_CONFIG_NAME[name]
    except KeyError:
        known = ", ".join(_BY_CONFIG_NAME)
        raise PyTritonValidationError(f"Unknown data type {name!r}; known are {known}.") from None


def resolve(dtype: npt.DTypeLike) -> DataType:
    """Find the datatype for whatever a user gives as a dtype: NumPy and Python types, np.dtype, names."""
    if isinstance(dtype, str):
        named = _BY_NAME.get(dtype) or _BY_CONFIG_NAME.get(dtype)
        if named is not None:
            return named
        if dtype == "bfloat16":
            return _BF16
    if isinstance(dtype, type) and not issubclass(dtype, np.generic):
        if dtype in _PYTHON_TYPES:
            return _PYTHON_TYPES[dtype]
        # Array libraries have scalar classes of their own that carry the NumPy dtype.
        carried = getattr(dtype, "dtype", None)
        if not isinstance(carried, np.dtype):
            raise _unsupported(dtype)
        return _resolve_numpy(carried)
    return _resolve_numpy(dtype)


def scalar_type(dtype: npt.DTypeLike) -> type[Any]:
    """The scalar type that stands for a dtype: np.float32 for its np.dtype, for "float32" and for itself.

    The ways to say "string" (bytes, object, str and their NumPy types) are kept: callers see them again.
    """
    row = resolve(dtype)
    if row is not BYTES:
        return row.numpy_dtype.type
    if isinstance(dtype, type):
        return dtype
    if isinstance(dtype, str) and dtype in (row.name, row.config_name):
        return np.bytes_
    return np.dtype(dtype).type


def _resolve_numpy(given: Any) -> DataType:
    if given is None or (isinstance(given, type) and given in _FAMILIES):
        raise _unsupported(given)
    try:
        dtype = np.dtype(given)
    except (TypeError, ValueError, SyntaxError):
        raise _unsupported(given) from None
    if dtype.kind in "SUO":
        return BYTES
    row = _BY_LAYOUT.get((dtype.kind, dtype.itemsize))
    if row is not None:
        return row
    if dtype.name == "bfloat16":
        return _BF16
    raise _unsupported(given)


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError:
        raise PyTritonValidationError(
            "bfloat16 needs the package ml_dtypes, which is not installed: pip install ml_dtypes"
        ) from None
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


def _unsupported(dtype: object) -> PyTritonValidationError:
    return PyTritonValidationError(f"The dtype {dtype!r} is not supported; supported are {_SUPPORTED}.")
