# SPDX-License-Identifier: Apache-2.0
"""Sizes of named dimensions: that they agree is checked for every call, so little is left to do there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from pytriton.app.tensor_type import BATCH, Dimension
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.request import Array

__all__ = ["InputDimensions", "OutputDimensions", "Sizes", "shared_names"]

Sizes: TypeAlias = dict[str, int]
"""Sizes by the names of the dimensions, as far as they are known."""


class _Axis(NamedTuple):
    tensor: str
    axis: int
    name: str


def shared_names(dims: Iterable[Iterable[Dimension]]) -> frozenset[str]:
    """Names of the dimensions that stand in several places, so that there is something to agree on."""
    counts = Counter(size for each in dims for size in each if isinstance(size, str))
    return frozenset(name for name, count in counts.items() if count > 1 and name != BATCH)


class InputDimensions:
    """The named dimensions of inputs; fixed ones are the server's affair."""

    def __init__(
        self, model: str, inputs: Mapping[str, tuple[Dimension, ...]], names: frozenset[str]
    ) -> None:
        """Take the dimensions as the checked arrays have them, and the names that matter."""
        self._model = model
        self._axes = [
            _Axis(tensor, axis, size)
            for tensor, dims in inputs.items()
            for axis, size in enumerate(dims)
            if isinstance(size, str) and size in names
        ]

    def sizes(self, arrays: Mapping[str, Array]) -> Sizes:
        """The sizes of the dimensions; an error for the client if they do not agree."""
        sizes: Sizes = {}
        for tensor, axis, name in self._axes:
            array = arrays.get(tensor)
            if array is not None:
                size = array.shape[axis]
                if sizes.setdefault(name, size) != size:
                    raise self._error(arrays, name)
        return sizes

    def source(self, name: str, arrays: Mapping[str, Array] | None = None) -> str:
        """The first input that has a dimension, in words."""
        for tensor, _, each in self._axes:
            if each == name and (arrays is None or tensor in arrays):
                return f'input "{tensor}"'
        return "another output"

    def _error(self, arrays: Mapping[str, Array], name: str) -> PyTritonInferenceError:
        found = ", ".join(
            f'{arrays[tensor].shape[axis]} in input "{tensor}"'
            for tensor, axis, each in self._axes
            if each == name and tensor in arrays
        )
        return PyTritonInferenceError(
            f'model "{self._model}": dimension "{name}" must be the same everywhere, but it is {found}.',
            ErrorCode.INVALID_ARG,
        )


class OutputDimensions:
    """The dimensions of one output."""

    def __init__(
        self,
        where: str,
        dims: tuple[Dimension, ...],
        names: frozenset[str],
        inputs: InputDimensions,
    ) -> None:
        """Take the dimensions as the checked arrays have them, and the names that matter."""
        self._where = where
        self._dims = dims
        self._rank = len(dims)
        self._fixed = [(axis, size) for axis, size in enumerate(dims) if isinstance(size, int) and size > 0]
        self._named = [
            (axis, size) for axis, size in enumerate(dims) if isinstance(size, str) and size in names
        ]
        self._inputs = inputs

    def check(self, shape: tuple[int, ...], sizes: Sizes) -> None:
        """Refuse a shape that is not the annotated one."""
        if len(shape) != self._rank:
            raise self._error(shape, f"expected {self._rank} dimensions")
        for axis, size in self._fixed:
            if shape[axis] != size:
                raise self._error(shape, f"dimension {axis} must be {size}")
        for axis, name in self._named:
            size = shape[axis]
            if sizes.setdefault(name, size) != size:
                raise self._error(
                    shape, f'dimension "{name}" is {size}, but {sizes[name]} in {self._inputs.source(name)}'
                )

    def _error(self, shape: tuple[int, ...], what: str) -> PyTritonInferenceError:
        dims = ", ".join(map(str, self._dims))
        return PyTritonInferenceError(
            f"{self._where}: got shape {shape} where ({dims}) is annotated; {what}."
        )
