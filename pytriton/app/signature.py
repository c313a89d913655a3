# SPDX-License-Identifier: Apache-2.0
"""A function's annotations, read once: inputs, request parameters, outputs, and how it is to be called."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytriton.app.place import Place
from pytriton.app.result_type import ResultType, result_type
from pytriton.app.tensor_type import BATCH, Form, TensorType, spell, split_optional, tensor_type
from pytriton.reserved import is_reserved

__all__ = ["REQUIRED", "Input", "Parameter", "Signature", "read_signature"]

REQUIRED: Final = inspect.Parameter.empty
_PARAMETERS: Final = (bool, int, float, str)


@dataclass(frozen=True)
class Input:
    """An input of a model."""

    name: str
    type: TensorType
    default: Any = REQUIRED
    """What the function gets if a request leaves it out."""

    @property
    def optional(self) -> bool:
        """Whether requests may leave it out."""
        return self.default is not REQUIRED


@dataclass(frozen=True)
class Parameter:
    """A parameter of requests."""

    name: str
    type: type[Any]
    default: Any
    choices: tuple[Any, ...] = ()
    """All values that it may have; empty if any of its type will do."""


@dataclass(frozen=True)
class Signature:
    """What a function's annotations say."""

    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    result: ResultType
    batched: bool
    """Whether the function is typed per batch; else it is called sample by sample."""
    is_async: bool
    """Whether it is a coroutine function or gives an async iterator."""

    @property
    def streaming(self) -> bool:
        """Whether it gives any number of responses."""
        return self.result.streaming


def read_signature(
    function: Callable[..., Any], place: Place, scope: Mapping[str, Any], *, is_method: bool = False
) -> Signature:
    """Read the annotations of a function; PyTritonDefinitionError at the first that is not possible.

    Args:
        function: The function.
        place: Where it is.
        scope: Names besides its module's globals that annotations may use.
        is_method: Whether its first parameter is `self`.
    """
    hints = _hints(function, place, scope)
    inputs: list[Input] = []
    parameters: list[Parameter] = []
    for parameter in _arguments(function, place)[is_method:]:
        here = place.at(parameter.name)
        if parameter.name not in hints:
            raise here.error(
                "has no annotation",
                'write what it is, for example Annotated[NDArray[np.float32], "batch", 3] or str',
            )
        annotation, nullable = split_optional(hints[parameter.name])
        default = parameter.default
        if nullable and default is REQUIRED:
            raise here.error(
                f"got {spell(annotation)} | None without a default",
                "give it the default None if requests may leave it out, else leave out | None",
            )
        if default is not REQUIRED and (choice := _request_parameter(here, annotation, default)):
            parameters.append(_checked_default(choice, here))
        else:
            inputs.append(Input(parameter.name, tensor_type(annotation, here), default))
    if not inputs:
        raise place.error(
            "has no inputs, so no request could ask it",
            "give it one: a parameter with a type of tensor and no default"
            + (", for those with a default are parameters of requests" if parameters else ""),
        )
    if "return" not in hints:
        raise place.at_return().error(
            "has no annotation", 'write what it is, for example -> Annotated[NDArray[np.float32], "batch", 3]'
        )
    result = result_type(hints["return"], place.at_return())
    _check_kind(function, result, hints["return"], place.at_return())
    return Signature(
        tuple(inputs),
        tuple(parameters),
        result,
        _is_batched(inputs, result, place),
        inspect.iscoroutinefunction(function) or result.is_async,
    )


def _check_kind(function: Callable[..., Any], result: ResultType, annotation: Any, place: Place) -> None:
    """Refuse a generator or coroutine function whose annotation speaks of something else."""
    step = spell(next(iter(typing.get_args(annotation)), annotation) if result.streaming else annotation)
    is_coroutine = inspect.iscoroutinefunction(function)
    if inspect.isasyncgenfunction(function) or (is_coroutine and result.streaming):
        if not (result.streaming and result.is_async):
            raise place.error(
                f"got {spell(annotation)}, but the function is async and gives a stream",
                f"write -> AsyncIterator[{step}]",
            )
    elif inspect.isgeneratorfunction(function) and (not result.streaming or result.is_async):
        raise place.error(
            f"got {spell(annotation)}, but the function is a generator", f"write -> Iterator[{step}]"
        )


def _hints(function: Callable[..., Any], place: Place, scope: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, localns=dict(scope), include_extras=True)
    except Exception as error:
        raw = getattr(function, "__annotations__", {})
        raise _culprit(raw, function, place, scope).error(
            f"the annotation cannot be read: {type(error).__name__}: {error}",
            "names in annotations must be known where the function is defined, also under TYPE_CHECKING",
        ) from None


def _culprit(
    raw: Mapping[str, Any], function: Callable[..., Any], place: Place, scope: Mapping[str, Any]
) -> Place:
    """The parameter whose annotation cannot be read."""
    for name, annotation in raw.items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        names = getattr(inspect.unwrap(function), "__globals__", {})
        try:
            typing.get_type_hints(alone, names, dict(scope), include_extras=True)
        except Exception:
            return place.at_return() if name == "return" else place.at(name)
    return place


def _arguments(function: Callable[..., Any], place: Place) -> list[inspect.Parameter]:
    arguments = list(inspect.signature(function).parameters.values())
    for argument in arguments:
        here = place.at(argument.name)
        if argument.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            stars = "*" if argument.kind is inspect.Parameter.VAR_POSITIONAL else "**"
            raise here.error(
                f"{stars}{argument.name} has no fixed inputs", "give every input a parameter of its own"
            )
        if argument.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise here.error("it cannot be given by name", "leave out the / of the function's parameters")
    return arguments


def _request_parameter(place: Place, annotation: Any, default: Any) -> Parameter | None:
    name = place.parameter or ""
    if annotation in _PARAMETERS:
        return Parameter(name, annotation, default)
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        kinds = {type(choice) for choice in choices}
        if len(kinds) == 1 and kinds <= set(_PARAMETERS):
            return Parameter(name, kinds.pop(), default, choices)
        if len(kinds) > 1:
            raise place.error(
                f"got {spell(annotation)} with values of different types: "
                f"{', '.join(sorted(kind.__name__ for kind in kinds))}",
                "the values of a parameter are all int, all float, all bool or all str",
            )
    return None


def _checked_default(parameter: Parameter, place: Place) -> Parameter:
    if is_reserved(parameter.name):
        raise place.error(
            f'"{parameter.name}" as a parameter of requests means something to the server itself',
            "give it another name",
        )
    default = parameter.default
    fits = isinstance(default, parameter.type) and not (
        isinstance(default, bool) and parameter.type is not bool
    )
    if parameter.type is float and isinstance(default, int) and not isinstance(default, bool):
        fits = True
    if default is not None and not fits:
        raise place.error(
            f"the default {default!r} is no {parameter.type.__name__}", "give one of the annotated type"
        )
    if parameter.choices and default is not None and default not in parameter.choices:
        raise place.error(
            f"the default {default!r} is none of {', '.join(map(repr, parameter.choices))}",
            "give one of these",
        )
    return parameter


def _is_batched(inputs: Sequence[Input], result: ResultType, place: Place) -> bool:
    """Whether everything is typed per batch, or nothing is."""
    typed = [(place.at(each.name), each.type) for each in inputs]
    typed += [(place.at_return(field), kind) for field, kind in result.places()]
    with_batch = [where for where, kind in typed if kind.batched]
    if not with_batch:
        return False
    for where, kind in typed:
        if not kind.batched:
            raise where.error(
                f'{kind} is typed per sample, but {with_batch[0].label} has the dimension "{BATCH}"',
                _advice(kind),
            )
    return True


def _advice(kind: TensorType) -> str:
    if kind.form is Form.SCALAR:
        return f"write list[{kind.element.__name__}] for one value per row, or leave the batch out everywhere"
    return f'begin its dimensions with "{BATCH}", or leave the batch out everywhere'
