# SPDX-License-Identifier: Apache-2.0
"""Declaration of one input or output of a model."""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytriton import dtypes
from pytriton.constants import MAX_RANK
from pytriton.exceptions import PyTritonValidationError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Tensor"]

_WILDCARD: Final = -1
_MAX_DIMENSION: Final = 2**63 - 1


@dataclass(frozen=True)
class Tensor:
    """Declaration of an input or output: shape without the batch dimension (-1 varies), dtype, name.

    Args:
        shape: Dimensions without the batch dimension; -1 is a dimension of any size, () one value per row.
        dtype: NumPy type, np.dtype, Python type or name, such as np.float32, bytes or "float32".
        name: Name of the tensor; INPUT_1, INPUT_2, ... or OUTPUT_1, ... when there is none.
        optional: Whether requests may leave the input out.
    """

    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    name: str | None = None
    optional: bool | None = False

    def __post_init__(self) -> None:
        label = "tensor" if self.name is None else f'tensor "{self.name}"'
        _check_name(self.name, label)
        object.__setattr__(self, "shape", _checked_shape(self.shape, label))
        try:
            object.__setattr__(self, "dtype", dtypes.scalar_type(self.dtype))
        except PyTritonValidationError as error:
            raise PyTritonValidationError(f"{label}: {error.message}") from None

    @property
    def datatype(self) -> dtypes.DataType:
        """The row of the datatype table."""
        return dtypes.resolve(self.dtype)


def _check_name(name: Any, label: str) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        raise PyTritonValidationError(f"{label}: the name must be a string, got {name!r}.")
    if not name:
        raise PyTritonValidationError(
            "A tensor has an empty name; leave the name out to have one such as INPUT_1 chosen."
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise PyTritonValidationError(f"The tensor name {name!r} contains control characters; remove them.")


def _checked_shape(shape: Any, label: str) -> tuple[int, ...]:
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable):
        raise PyTritonValidationError(
            f"{label}: the shape must be a tuple of dimensions, got {shape!r}; for one dimension write (n,)."
        )
    dimensions = tuple(_checked_dimension(dimension, label) for dimension in shape)
    if len(dimensions) > MAX_RANK:
        raise PyTritonValidationError(
            f"{label}: the shape has {len(dimensions)} dimensions, at most {MAX_RANK} are possible."
        )
    return dimensions


def _checked_dimension(dimension: Any, label: str) -> int:
    try:
        value = operator.index(dimension)
    except TypeError:
        value = 0
    if isinstance(dimension, bool) or not (value == _WILDCARD or 1 <= value <= _MAX_DIMENSION):
        raise PyTritonValidationError(
            f"{label}: a dimension must be an integer of 1 or more, or -1 for any size, got {dimension!r}."
        )
    return value
