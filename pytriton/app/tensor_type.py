# SPDX-License-Identifier: Apache-2.0
"""What an annotation says of one tensor: its dtype, its dimensions, and the form in which Python has it."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import numpy as np

from pytriton import dtypes
from pytriton.app.place import Place
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import Tensor

__all__ = ["ANY", "BATCH", "Dimension", "Form", "TensorType", "spell", "split_optional", "tensor_type"]

Dimension: TypeAlias = int | str

BATCH: Final = "batch"
"""Name of the dimension that counts the rows of a batch."""
ANY: Final = -1
"""A dimension of any size that has no name."""

_ALIAS: Final = "TypeAliasType"  # of typing, and of typing_extensions
_SCALARS: Final = (str, bytes, bool, int, float)
_EXAMPLE: Final = 'Annotated[NDArray[np.float32], "batch", 3]'
_POSSIBLE: Final = (
    f"possible are arrays such as {_EXAMPLE}, and str, bytes, int, float, bool or a NumPy scalar type for "
    "one value per sample, or a list of these for one value per row of the batch"
)


class Form(enum.Enum):
    """How a tensor looks in Python."""

    ARRAY = "array"
    SCALAR = "scalar"
    LIST = "list"


@dataclass(frozen=True)
class TensorType:
    """The type of an input or output."""

    form: Form
    element: type[Any]
    """The NumPy scalar type of an array; the type of scalars, and of the elements of lists."""
    dims: tuple[Dimension, ...]
    """Sizes, names of dimensions, or -1; with the batch if it is typed per batch."""

    @property
    def batched(self) -> bool:
        """Whether it is typed per batch."""
        return self.dims[:1] == (BATCH,)

    @property
    def sample_dims(self) -> tuple[Dimension, ...]:
        """Dimensions without the batch."""
        return self.dims[1:] if self.batched else self.dims

    @property
    def datatype(self) -> dtypes.DataType:
        """The row of the datatype table."""
        return dtypes.resolve(self.element)

    def tensor(self, name: str, *, optional: bool = False) -> Tensor:
        """The declaration that bind takes."""
        shape = tuple(size if isinstance(size, int) else ANY for size in self.sample_dims)
        return Tensor(name=name, shape=shape, dtype=self.element, optional=optional)

    def __str__(self) -> str:
        if self.form is Form.SCALAR:
            return self.element.__name__
        dims = ", ".join(map(str, self.dims))
        kind = "list of " if self.form is Form.LIST else ""
        return f"{kind}{self.element.__name__} ({dims})"


def plain(annotation: Any) -> Any:
    """An annotation without the names that `type` statements gave it, as NumPy's own `NDArray` is one."""
    while True:
        origin = typing.get_origin(annotation)
        if type(annotation).__name__ == _ALIAS:
            annotation = annotation.__value__
        elif type(origin).__name__ == _ALIAS:
            annotation = origin.__value__[typing.get_args(annotation)]
        else:
            return annotation


def _parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """What is annotated, and with what."""
    base, metadata = plain(annotation), ()
    while typing.get_origin(base) is Annotated:
        inner, *given = typing.get_args(base)
        base, metadata = plain(inner), (*given, *metadata)
    return base, metadata


def _joined(base: Any, metadata: tuple[Any, ...]) -> Any:
    return Annotated[(base, *metadata)] if metadata else base


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """An annotation without `| None`, and whether it had that."""
    base, metadata = _parts(annotation)
    if typing.get_origin(base) in (typing.Union, types.UnionType):
        members = [each for each in typing.get_args(base) if each is not types.NoneType]
        if len(members) == 1 and len(members) < len(typing.get_args(base)):
            member, of_member = _parts(members[0])
            return _joined(member, (*of_member, *metadata)), True
    return _joined(base, metadata), False


def tensor_type(annotation: Any, place: Place) -> TensorType:
    """Read the annotation of a tensor; PyTritonDefinitionError if it is none."""
    base, metadata = _parts(annotation)
    dims = _checked_dims(metadata, annotation, place)
    origin = typing.get_origin(base)
    if np.ndarray in (base, origin):
        return TensorType(Form.ARRAY, _array_element(base, place), _dims_of_array(dims, base, place))
    if origin is list and typing.get_args(base):
        (element,) = typing.get_args(base)
        if len(dims) > 1 or not _is_scalar(element, place):
            raise place.error(f"got {spell(annotation)}", "a list has one dimension, and scalars in it")
        return TensorType(Form.LIST, element, dims or (BATCH,))
    if _is_scalar(base, place):
        if dims:
            raise place.error(
                f"got {spell(annotation)}, but {spell(base)} is one value",
                f"leave the dimensions out, or write an array: {_EXAMPLE}",
            )
        return TensorType(Form.SCALAR, base, ())
    raise place.error(f"got {spell(annotation)}, which is no type of a tensor", _POSSIBLE)


def spell(annotation: Any) -> str:
    """An annotation as one would write it."""
    base, metadata = _parts(annotation)
    if metadata:
        return f"Annotated[{', '.join([spell(base), *map(repr, metadata)])}]"
    if typing.get_origin(base) is np.ndarray:
        element = _dtype_argument(base)
        return f"NDArray[np.{element.__name__}]" if isinstance(element, type) else str(annotation)
    origin, arguments = typing.get_origin(base), typing.get_args(base)
    if isinstance(base, type) and origin is None:
        return base.__qualname__
    if isinstance(origin, type) and origin is not types.UnionType and all(map(_is_spelled, arguments)):
        inside = ", ".join("..." if each is ... else spell(each) for each in arguments)
        return f"{origin.__name__}[{inside}]"
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def _is_spelled(argument: Any) -> bool:
    return argument is ... or not isinstance(argument, (list, tuple))


def _checked_dims(given: Sequence[Any], annotation: Any, place: Place) -> tuple[Dimension, ...]:
    for size in given:
        valid = isinstance(size, str) and size.isidentifier()
        if isinstance(size, int) and not isinstance(size, bool):
            valid = size == ANY or size > 0
        if not valid:
            raise place.error(
                f"got the dimension {size!r} in {spell(annotation)}",
                'a dimension is a size of 1 or more, a name such as "tokens", or -1 for any size',
            )
        if isinstance(size, str) and size != BATCH and size.lower() == BATCH:
            raise place.error(
                f"got the dimension {size!r} in {spell(annotation)}, which would be any other free dimension",
                f'write "{BATCH}" for the rows of a batch, and another name for anything else',
            )
    if BATCH in given[1:]:
        raise place.error(
            f'got "{BATCH}" behind other dimensions in {spell(annotation)}',
            "the batch is the first dimension",
        )
    return tuple(given)


def _dims_of_array(dims: tuple[Dimension, ...], base: Any, place: Place) -> tuple[Dimension, ...]:
    if not dims:
        raise place.error(
            f"got {spell(base)}, which does not say how many dimensions there are",
            f'write Annotated[{spell(base)}, "batch", 3] for rows of 3 elements, names or -1 for other sizes',
        )
    return dims


def _dtype_argument(base: Any) -> Any:
    arguments = typing.get_args(base)
    dtype = arguments[1] if len(arguments) == 2 else None
    return typing.get_args(dtype)[0] if typing.get_args(dtype) else None


def _array_element(base: Any, place: Place) -> type[Any]:
    element = _dtype_argument(base)
    if not isinstance(element, type):
        raise place.error(f"got {spell(base)} without a dtype", f"write for example {_EXAMPLE}")
    _resolve(element, place)
    return element


def _is_scalar(base: Any, place: Place) -> bool:
    if base in _SCALARS:
        return True
    if isinstance(base, type) and issubclass(base, np.generic):
        _resolve(base, place)
        return True
    return False


def _resolve(element: type[Any], place: Place) -> None:
    try:
        dtypes.resolve(element)
    except PyTritonValidationError as error:
        raise place.error(
            f"got dtype {element.__name__}", error.message.rpartition("; ")[2].rstrip(".")
        ) from None
