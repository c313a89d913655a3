# SPDX-License-Identifier: Apache-2.0
"""What the annotation of a function's result says: one output or several, and whether they are streamed."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from pytriton.app.place import Place
from pytriton.app.tensor_type import TensorType, plain, spell, split_optional, tensor_type

__all__ = ["DEFAULT_OUTPUT", "Container", "ResultType", "result_type"]

DEFAULT_OUTPUT: Final = "output"
"""Name of the output of a model that has one, unless it is given another."""

_STREAMS: Final = {
    abc.Iterator: False,
    abc.Iterable: False,
    abc.Generator: False,
    abc.AsyncIterator: True,
    abc.AsyncIterable: True,
    abc.AsyncGenerator: True,
}
_SEVERAL: Final = "for several outputs return a dataclass, a NamedTuple or a TypedDict"


@dataclass(frozen=True)
class Container:
    """A class whose fields are the outputs."""

    type: type[Any]
    is_mapping: bool

    def values(self, names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
        """What takes an object of the class apart."""
        if self.is_mapping:
            return lambda given: tuple(given[name] for name in names)
        if len(names) == 1:
            getter = attrgetter(*names)
            return lambda given: (getter(given),)
        return attrgetter(*names)


@dataclass(frozen=True)
class ResultType:
    """The outputs of a function by name."""

    outputs: Mapping[str, TensorType]
    container: Container | None
    """The class that holds several outputs; None for a bare one."""
    streaming: bool
    is_async: bool

    def places(self) -> Iterator[tuple[str | None, TensorType]]:
        """Fields, or None for a bare output, and their types."""
        for name, kind in self.outputs.items():
            yield (name if self.container is not None else None), kind

    def renamed(self, name: str) -> ResultType:
        """The same with another name for the one output."""
        (kind,) = self.outputs.values()
        return dataclasses.replace(self, outputs={name: kind})


def result_type(annotation: Any, place: Place) -> ResultType:
    """Read the annotation of a result; PyTritonDefinitionError if no outputs can be made of it."""
    streaming = is_async = False
    annotation = plain(annotation)
    origin = typing.get_origin(annotation) or (annotation if isinstance(annotation, type) else None)
    if origin in _STREAMS:
        if not typing.get_args(annotation):
            raise place.error(
                f"got {origin.__name__} without what a step is", f"write for example {origin.__name__}[str]"
            )
        streaming, is_async = True, _STREAMS[origin]
        annotation = plain(typing.get_args(annotation)[0])
    if annotation is None or annotation is types.NoneType:
        raise place.error("the function returns None", f"return a tensor; {_SEVERAL}")
    if split_optional(annotation)[1]:
        raise place.error(f"got {spell(annotation)}", "outputs cannot be optional: leave out | None")
    if typing.get_origin(annotation) in (tuple, dict) or annotation in (tuple, dict):
        raise place.error(f"got {spell(annotation)}, whose parts have no names", _SEVERAL)
    fields = _fields(annotation, place)
    if fields is None:
        outputs = {DEFAULT_OUTPUT: tensor_type(annotation, place)}
        return ResultType(outputs, None, streaming, is_async)
    if not fields:
        raise place.error(f"{spell(annotation)} has no fields", _SEVERAL)
    outputs = {name: tensor_type(kind, place.at_return(name)) for name, kind in fields.items()}
    container = Container(annotation, is_mapping=typing.is_typeddict(annotation))
    return ResultType(outputs, container, streaming, is_async)


def _fields(annotation: Any, place: Place) -> dict[str, Any] | None:
    """Annotations of the fields of a class that is made of fields."""
    names = _field_names(annotation) if isinstance(annotation, type) else None
    if names is None:
        return None
    try:
        hints = typing.get_type_hints(annotation, include_extras=True)
    except NameError as error:
        raise place.error(
            f"the annotations of {annotation.__qualname__} cannot be read: {error}",
            "names in them must be known in its module",
        ) from None
    if missing := [name for name in names if name not in hints]:
        raise place.at_return(missing[0]).error(f"{annotation.__qualname__} does not annotate it", _SEVERAL)
    return {name: hints[name] for name in names}


def _field_names(annotation: type[Any]) -> Sequence[str] | None:
    if dataclasses.is_dataclass(annotation):
        return [field.name for field in dataclasses.fields(annotation)]
    if typing.is_typeddict(annotation):
        return list(annotation.__annotations__)
    names: Sequence[str] | None = getattr(annotation, "_fields", None)
    return names if issubclass(annotation, tuple) else None
