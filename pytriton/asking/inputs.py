# SPDX-License-Identifier: Apache-2.0
"""Inputs of a request out of arguments: values, files, standard input."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pytriton.asking.content import Content
from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = ["STDIN", "inputs_of", "is_batch", "parameters_of"]

STDIN: Final = "-"


def inputs_of(
    arguments: Sequence[str],
    file: str | None,
    model: TritonModelConfig,
    read_stdin: Callable[[], bytes],
    white: float = 1.0,
) -> dict[str, Any]:
    """Values by the names of inputs.

    Args:
        arguments: `name=value`, or `value` for a model with one input. A value is JSON, text for an input of
            strings, `@file` or `-` for standard input; one value needs no brackets.
        file: A file with several inputs by name, or `-`.
        model: The model.
        read_stdin: Reads standard input.
        white: What white is in images for inputs of floating point.
    """
    specs = {spec.name: spec for spec in model.inputs or ()}
    inputs: dict[str, Any] = {}
    if file is not None:
        by_name = _content(file, read_stdin).by_name()
        inputs |= {name: _shaped(value, specs.get(name)) for name, value in by_name.items()}
    given: dict[str, str] = {}
    for argument in arguments:
        name, text = _split(argument, specs, model.model_name)
        if name in given:
            raise PyTritonClientValueError(
                f'model "{model.model_name}": input "{name}" is given twice, as {given[name]!r} and as '
                f"{text!r}. A text with spaces needs quotes; several values are one list in JSON."
            )
        given[name] = text
        inputs[name] = _shaped(_value(text, specs[name], read_stdin, white), specs[name])
    if not inputs:
        raise PyTritonClientValueError(
            f'model "{model.model_name}": no input was given; it takes {_listed(specs)}. Give name=value, '
            "with JSON, @file or - for standard input as the value."
        )
    return inputs


def is_batch(inputs: Mapping[str, Any], model: TritonModelConfig) -> bool:
    """Whether arrays have a batch dimension before those of the model; so it is if that is the only way."""
    if not model.batching:
        return False
    specs = {spec.name: spec for spec in model.inputs or ()}
    more = {
        name: np.ndim(_as_array(value)) - len(specs[name].shape)
        for name, value in inputs.items()
        if name in specs
    }
    batches = [name for name, dimensions in more.items() if dimensions > 0]
    samples = [name for name, dimensions in more.items() if dimensions == 0]
    if batches and samples:
        raise PyTritonClientValueError(
            f'model "{model.model_name}": inputs of a batch ({_quoted(batches)}) and of one sample '
            f"({_quoted(samples)}) are mixed; a batch has one dimension more than the model's input. Give "
            "all of them in the same way."
        )
    return bool(batches)


def parameters_of(texts: Sequence[str]) -> dict[str, str | int | float | bool]:
    """Parameters of a request: numbers, true or false and strings of JSON, the rest is text as it is."""
    parameters: dict[str, str | int | float | bool] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise PyTritonClientValueError(f"--parameter: expected name=value, got {text!r}.")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        parameters[name] = parsed if isinstance(parsed, (bool, int, float, str)) else value
    return parameters


def _split(argument: str, specs: Mapping[str, TensorSpec], model: str) -> tuple[str, str]:
    name, separator, text = argument.partition("=")
    if separator and name in specs:
        return name, text
    if len(specs) == 1 and not (separator and name.isidentifier()):
        return next(iter(specs)), argument
    if separator:
        raise PyTritonClientValueError(
            f'model "{model}" has no input "{name}"; its inputs are {_listed(specs)}.'
        )
    raise PyTritonClientValueError(
        f'model "{model}": {argument!r} names no input; it takes {_listed(specs)}. Give name=value.'
    )


def _value(text: str, spec: TensorSpec, read_stdin: Callable[[], bytes], white: float) -> Any:
    if text == STDIN or text.startswith("@"):
        return _content(text.removeprefix("@"), read_stdin).value_for(spec, white)
    try:
        value = json.loads(text)
    except ValueError:
        if spec.datatype.name == "BYTES":
            return text
        example = "true or [true, false]" if spec.datatype.name == "BOOL" else "1.5 or [1, 2]"
        hint = f"; for a file write @{text}" if Path(text).suffix or Path(text).is_file() else ""
        raise PyTritonClientValueError(
            f'input "{spec.name}": {text!r} is no JSON, such as {example}{hint}.'
        ) from None
    if spec.datatype.name == "BYTES" and not isinstance(value, list):
        return value if isinstance(value, str) else text
    return value


def _shaped(value: Any, spec: TensorSpec | None) -> Any:
    """One value becomes a list, or lists in lists, where an input has dimensions that may be 1."""
    if spec is None or isinstance(value, (list, dict, np.ndarray)):
        return value
    if all(size in (1, -1) for size in spec.shape):
        for _ in spec.shape:
            value = [value]
    return value


def _content(place: str, read_stdin: Callable[[], bytes]) -> Content:
    return Content("standard input", read_stdin()) if place == STDIN else Content.of_argument(place)


def _as_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    try:
        return np.array(value, object)
    except ValueError:  # ragged; the client says so
        return np.empty(0)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _listed(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(
        f"{spec.name} ({spec.datatype.name}, shape {tuple(spec.shape)}"
        f"{', optional' if spec.optional else ''})"
        for spec in specs.values()
    )
