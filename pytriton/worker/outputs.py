# SPDX-License-Identifier: Apache-2.0
"""The declared outputs of a model, and which arrays they accept."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from pytriton import dtypes
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig
from pytriton.request import Array
from pytriton.worker.layout import MAX_RANK
from pytriton.worker.memory import Segment
from pytriton.worker.strings import EncodedStrings
from pytriton.worker.views import element_dtype

__all__ = ["Content", "Numbers", "Output", "declared_outputs"]

_TEXT_KINDS: Final = "SUO"
_KINDS: Final = "biufSUO"


class Content(Protocol):
    """Elements of a tensor on their way into shared memory."""

    size: int

    def write(self, segment: Segment, offset: int) -> None: ...


class Numbers:
    """Elements of fixed size, converted to the declared dtype while they are copied."""

    __slots__ = ("_array", "_output", "size")

    def __init__(self, output: Output, array: Array) -> None:
        self._output = output
        self._array = array
        self.size = array.size * output.dtype.itemsize

    def write(self, segment: Segment, offset: int) -> None:
        """Copy them into `size` bytes of shared memory."""
        array, output = self._array, self._output
        output.cast(array, np.ndarray(array.shape, output.dtype, segment.memory, offset))
        segment.bytes_copied += self.size


def declared_outputs(model: TritonModelConfig, *, strict: bool) -> dict[str, Output]:
    """The outputs of a model by name."""
    return {
        spec.name: Output(model, index, spec, strict=strict) for index, spec in enumerate(model.outputs or ())
    }


class Output:
    """One declared output."""

    __slots__ = ("_batching", "_shape", "_strict", "_where", "datatype", "dtype", "index", "number_dtype")

    def __init__(self, model: TritonModelConfig, index: int, spec: TensorSpec, *, strict: bool) -> None:
        self.index = index
        self.datatype = spec.datatype.number
        self.dtype = element_dtype(self.datatype)
        self.number_dtype = None if self.datatype == dtypes.BYTES.number else self.dtype
        self._shape = tuple(spec.shape)
        self._batching = model.batching
        self._strict = strict
        self._where = f'model "{model.model_name}", output "{spec.name}"'

    def check(self, array: object, rows: int) -> Array:
        """Refuse what cannot be this output of a request, or a batch, of so many rows."""
        if isinstance(array, np.generic):  # what NumPy makes of arrays without dimensions
            array = np.asarray(array)
        if not isinstance(array, np.ndarray):
            raise self._error(
                f"got an object of type {type(array).__module__}.{type(array).__qualname__}; "
                "expected a numpy.ndarray"
            )
        if array.dtype != self.dtype:
            self._check_dtype(array.dtype)
        if self._batching and array.shape[:1] != (rows,):
            raise self._error(
                f"got shape {array.shape}; expected the batch size {rows} as its first dimension"
            )
        if array.ndim > MAX_RANK:
            raise self._error(f"got {array.ndim} dimensions; at most {MAX_RANK} are possible")
        if self._strict:
            self._check_shape(array.shape[1:] if self._batching else array.shape)
        return array

    def content(self, array: Array) -> Content:
        """What is to be written for a checked array."""
        try:
            if self.datatype == dtypes.BYTES.number:
                return EncodedStrings(array if array.dtype.kind in _TEXT_KINDS else array.astype(np.bytes_))
            if array.dtype.kind == "O":  # strings that spell numbers
                array = array.astype(np.bytes_)
        except ValueError as error:
            raise self._error(str(error)) from None
        return Numbers(self, array)

    def cast(self, array: Array, into: Array) -> None:
        """Copy an array into one of the declared dtype."""
        if array.dtype == self.dtype:
            into[...] = array
            return
        try:
            with np.errstate(all="ignore"):
                into[...] = array
        except (TypeError, ValueError, OverflowError) as error:
            raise self._error(f"cannot convert {array.dtype} to {self.dtype}: {error}") from None

    def _check_dtype(self, given: np.dtype[Any]) -> None:
        if given.kind not in _KINDS and given.name != "bfloat16":
            raise self._error(
                f"got dtype {given} of kind {given.kind!r}; supported are bool, integers, floats, "
                "and for strings bytes, str or object arrays of bytes"
            )
        if self._strict and not self._is_declared(given):
            raise self._error(
                f"got dtype {given}; expected {self._expected()}, and bind() was told to be strict"
            )

    def _is_declared(self, given: np.dtype[Any]) -> bool:
        if self.datatype == dtypes.BYTES.number or given.kind in _TEXT_KINDS:
            return self.datatype == dtypes.BYTES.number and given.kind in _TEXT_KINDS
        return np.issubdtype(given, self.dtype)

    def _expected(self) -> str:
        return "bytes" if self.datatype == dtypes.BYTES.number else str(self.dtype)

    def _check_shape(self, given: tuple[int, ...]) -> None:
        matches = len(given) == len(self._shape) and all(
            expected in (-1, size) for size, expected in zip(given, self._shape, strict=True)
        )
        if not matches:
            without = " without the batch dimension" if self._batching else ""
            raise self._error(
                f"got shape {given}{without}; expected {self._shape}, and bind() was told to be strict"
            )

    def _error(self, what: str) -> ValueError:
        return ValueError(f"{self._where}: {what}.")
