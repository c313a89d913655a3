# SPDX-License-Identifier: Apache-2.0
"""A function for `group_by_values` that makes the results of groups equally large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import Array

__all__ = ["ConstantPadder"]


class ConstantPadder:
    """Pads the arrays of one name at the end of every dimension but the first, until they are equally large.

    Args:
        pad_value: What numbers are padded with; strings are padded with empty ones.
    """

    def __init__(self, pad_value: Any = 0) -> None:
        self.pad_value = pad_value

    def __call__(self, batches_list: Sequence[dict[str, Array]]) -> list[dict[str, Array]]:
        """Pad the arrays of all dicts."""
        padded: list[dict[str, Array]] = [{} for _ in batches_list]
        for name in dict.fromkeys(name for arrays in batches_list for name in arrays):
            present = [arrays[name] for arrays in batches_list if name in arrays]
            shape, dtype = _common_shape(name, present), _common_dtype(name, present)
            for arrays, target in zip(batches_list, padded, strict=True):
                if name in arrays:
                    target[name] = self._pad(arrays[name], shape, dtype)
        return padded

    def _pad(self, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        fill = {"S": b"", "O": b"", "U": ""}.get(dtype.kind, self.pad_value)
        result: Array = np.full((len(array), *shape), fill, dtype)
        result[tuple(map(slice, array.shape))] = array
        return result


def _common_shape(name: str, arrays: Sequence[Array]) -> tuple[int, ...]:
    if len({array.ndim for array in arrays}) > 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise PyTritonRuntimeError(
            f'Arrays of "{name}" have different numbers of dimensions, so they cannot be padded: {shapes}.'
        )
    return tuple(map(max, zip(*(array.shape[1:] for array in arrays), strict=True)))


def _common_dtype(name: str, arrays: Sequence[Array]) -> np.dtype[Any]:
    given = {array.dtype for array in arrays}
    if len(given) == 1:
        return given.pop()
    kinds = {dtype.kind for dtype in given}
    if len(kinds) > 1 or not kinds <= {"S", "U"}:
        raise PyTritonRuntimeError(
            f'Arrays of "{name}" must have the same dtype to be padded, got {", ".join(map(str, given))}.'
        )
    return max(given, key=lambda dtype: dtype.itemsize)
