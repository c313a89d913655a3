# SPDX-License-Identifier: Apache-2.0
"""A user's arguments to the tensors of a request, checked against the model before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from pytriton import dtypes
from pytriton.client._core import advice
from pytriton.client._core.config import UNLIMITED
from pytriton.client._core.operations import ParameterValue
from pytriton.client._core.tensors import Array, as_array
from pytriton.client._core.tracing import with_span
from pytriton.client._texts import check_text
from pytriton.client.exceptions import (
    PyTritonClientInputError,
    PyTritonClientModelDoesntSupportBatchingError,
    PyTritonClientProtocolError,
    PyTritonClientValueError,
)
from pytriton.client.options import InferOptions
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.reserved import is_reserved

__all__ = ["Call", "Input", "Signature", "check_headers", "check_parameters"]

_NO_OPTIONS: Final = InferOptions()


class Input(NamedTuple):
    """One input: its array has the batch dimension if the model has one."""

    name: str
    datatype: dtypes.DataType
    array: Array
    where: str


class Call(NamedTuple):
    """What a user gave to infer_sample or infer_batch."""

    args: Sequence[Any]
    named: Mapping[str, Any]
    parameters: Mapping[str, ParameterValue]
    headers: Mapping[str, str]
    options: InferOptions
    is_batch: bool

    @classmethod
    def create(
        cls,
        args: Sequence[Any],
        named: dict[str, Any],
        parameters: Any = None,
        headers: Any = None,
        options: Any = None,
        *,
        is_batch: bool,
    ) -> Call:
        """Check what can be checked without knowing the model."""
        if options is not None and not isinstance(options, InferOptions):
            named, options = {**named, "options": options}, None  # an input of that name
        if not args and not named:
            raise PyTritonClientValueError("Provide input data: arrays by position or by the inputs' names.")
        if args and named:
            raise PyTritonClientValueError(
                "Use either positional either keyword method arguments convention; "
                f"got {len(args)} positional inputs and {', '.join(named)} by name. "
                "A parameter of the request, which is no input, belongs into parameters={...}."
            )
        return cls(
            args,
            named,
            check_parameters(parameters),
            with_span(check_headers(headers)),
            options or _NO_OPTIONS,
            is_batch,
        )


class Signature:
    """A model's inputs and outputs, in the form that requests are checked against."""

    def __init__(
        self, config: TritonModelConfig, wire_shapes: Mapping[str, tuple[int, ...]] | None = None
    ) -> None:
        """Take a model's configuration.

        Args:
            config: The model.
            wire_shapes: Shapes in requests of the inputs for which they are others than in the model.
        """
        self.label = f'model "{config.model_name}"'
        self.batching = config.batching
        self.decoupled = config.decoupled
        self.max_batch_size = config.max_batch_size if config.batching else 0
        self.inputs = {spec.name: spec for spec in config.inputs or ()}
        self.outputs = {spec.name: spec for spec in config.outputs or ()}
        self._datatypes = {spec.name: spec.datatype for spec in config.inputs or ()}
        # The server knows no tensor without dimensions: one of size 1 stands for none.
        scalars = {spec.name: (1,) for spec in config.inputs or () if not spec.shape}
        self._wire_shapes = {**scalars, **(wire_shapes or {})}
        self._scalar_outputs = frozenset(spec.name for spec in config.outputs or () if not spec.shape)
        self._required = [spec.name for spec in config.inputs or () if not spec.optional]

    def inputs_of(self, call: Call, *, may_split: bool = False) -> list[Input]:
        """The inputs of a request.

        Args:
            call: What the user gave.
            may_split: Whether the batch may be larger than the model takes.
        """
        if call.is_batch and not self.batching:
            raise PyTritonClientModelDoesntSupportBatchingError(
                f"{self.label} does not support batching; {advice.USE_SAMPLE_INSTEAD}."
            )
        given = self._by_name(call)
        self._check_names(given)
        self._check_outputs(call.options)
        inputs = [self._input(name, value, call.is_batch) for name, value in given.items()]
        if call.is_batch:
            self._check_batch(inputs, may_split)
        return inputs

    def wire_shape(self, name: str) -> tuple[int, ...]:
        """The shape of an input in requests, without the batch dimension; -1 is any size."""
        return tuple(self._wire_shapes.get(name, self.inputs[name].shape))

    def debatched(self, outputs: dict[str, Any], call: Call) -> dict[str, Any]:
        """The outputs of one sample, without the batch dimension."""
        for name, output in outputs.items():
            self._check_output(name, output, call)
        for name in self._scalar_outputs & outputs.keys():
            outputs[name] = outputs[name].reshape(outputs[name].shape[: int(self.batching)])
        if call.is_batch or not self.batching:
            return outputs
        return {name: array[0, ...] for name, array in outputs.items()}

    def _check_output(self, name: str, output: Any, call: Call) -> None:
        """What the protocol's decoder cannot know to be wrong."""
        if not isinstance(output, np.ndarray):  # it was to be in shared memory, which nobody asked for
            raise PyTritonClientProtocolError(
                f'{self.label}: the answer cannot be read: output "{name}" has no data.'
            )
        if self.batching and not call.is_batch and output.shape[:1] != (1,):
            raise PyTritonClientProtocolError(
                f'{self.label}: the answer cannot be read: output "{name}" of one sample has the shape '
                f"{list(output.shape)}."
            )

    def _by_name(self, call: Call) -> Mapping[str, Any]:
        if call.named:
            return call.named
        if len(call.args) > len(self.inputs):
            raise PyTritonClientInputError(
                f"{self.label}: {len(call.args)} inputs were given; it has {len(self.inputs)}: "
                f"{self._expected()}."
            )
        return dict(zip(self.inputs, call.args, strict=False))

    def _check_names(self, given: Mapping[str, Any]) -> None:
        if unknown := [name for name in given if name not in self.inputs]:
            raise PyTritonClientInputError(
                f"{self.label} has no input {_quoted(unknown)}; its inputs are {self._expected()}."
            )
        if missing := [name for name in self._required if name not in given]:
            raise PyTritonClientInputError(
                f"{self.label}: input {_quoted(missing)} is missing; its inputs are {self._expected()}."
            )

    def _check_outputs(self, options: InferOptions) -> None:
        if unknown := [name for name in options.outputs or () if name not in self.outputs]:
            raise PyTritonClientInputError(
                f"{self.label} has no output {_quoted(unknown)}; its outputs are {_quoted(self.outputs)}."
            )

    def _input(self, name: str, value: Any, is_batch: bool) -> Input:
        shape, datatype = self.inputs[name].shape, self._datatypes[name]
        where = f'{self.label}, input "{name}"'
        array = as_array(value, datatype, where)
        if not _fits(array, shape, is_batch):
            array = self._as_on_the_wire(name, array, is_batch, where)
        elif name in self._wire_shapes:
            wire = _filled(self._wire_shapes[name], shape, array.shape[is_batch:])
            array = array.reshape(*array.shape[:is_batch], *wire)
        if not is_batch and self.batching:
            array = array[None]
        return Input(name, datatype, array, where)

    def _as_on_the_wire(self, name: str, array: Array, is_batch: bool, where: str) -> Array:
        shape = tuple(self.inputs[name].shape)
        if shape == (1,) and array.ndim == int(is_batch):
            return array[..., None]  # one value per row, given without the dimension that says so
        if name in self._wire_shapes and _fits(array, self._wire_shapes[name], is_batch):
            return array
        expected = ", ".join(map(str, [*(["batch"] if is_batch else []), *shape]))
        hint = self._other_method(is_batch) if array.ndim == len(shape) + (not is_batch) else ""
        any_size = ", where -1 is any size" if -1 in shape else ""
        raise PyTritonClientInputError(
            f"{where}: expected shape ({expected}){any_size}, got {array.shape}{hint}."
        )

    def _other_method(self, is_batch: bool) -> str:
        if is_batch:
            return f"; {advice.USE_SAMPLE}"
        return f"; {advice.USE_BATCH}" if self.batching else ""

    def _check_batch(self, inputs: Sequence[Input], may_split: bool) -> None:
        sizes = {item.name: len(item.array) for item in inputs}
        if len(set(sizes.values())) > 1:
            shown = ", ".join(f"{name}: {size}" for name, size in sizes.items())
            raise PyTritonClientInputError(f"{self.label}: the inputs' batch sizes differ ({shown}).")
        size = max(sizes.values())
        if size == 0 and self.max_batch_size != UNLIMITED:  # Triton takes none for one, and misses it
            raise PyTritonClientInputError(
                f"{self.label}: a batch of 0 was given, it takes 1 to {self.max_batch_size}."
            )
        if size > self.max_batch_size and not may_split:
            hint = f"{advice.SPLIT}."
            if self.decoupled:
                hint = "requests of streams are not split into parts."
            raise PyTritonClientInputError(
                f"{self.label}: a batch of {size} was given, it takes at most {self.max_batch_size}; {hint}"
            )

    def _expected(self) -> str:
        return ", ".join(
            f"{name} ({self._datatypes[name].name}, shape {tuple(spec.shape)}"
            f"{', optional' if spec.optional else ''})"
            for name, spec in self.inputs.items()
        )


def check_parameters(parameters: Any) -> Mapping[str, ParameterValue]:
    """Parameters are a dict of text to text, numbers or booleans, under names that the server leaves free."""
    _check_dict("parameters", parameters)
    for name, value in (parameters or {}).items():
        if is_reserved(name):
            raise PyTritonClientInputError(
                f"parameters: {name!r} means something to the server itself; {advice.SET_RESERVED}."
            )
        check_text("parameters: a name", name)
        if isinstance(value, str):
            check_text(f"parameters: the value of {name!r}", value)
    return parameters or {}


def check_headers(headers: Any) -> dict[str, str]:
    """Headers are a dict of text to text, numbers or booleans."""
    _check_dict("headers", headers)
    checked = {}
    for name, value in (headers or {}).items():
        text = value if isinstance(value, str) else str(value)
        if (
            not name
            or not name.isascii()
            or any(c in '()<>@,;:\\"/[]?={}' or not c.isprintable() for c in name)
        ):
            raise PyTritonClientValueError(f"headers: {name!r} is not the name of a header.")
        if " " in name or any(c in "\r\n\0" for c in text):
            raise PyTritonClientValueError(
                f"headers: {name!r} has a value or name of more than one line or word."
            )
        if name.lower() == "transfer-encoding":
            raise PyTritonClientValueError(
                f"headers: {name!r} says how the body is sent, and the client sends it whole; leave it out."
            )
        checked[name] = text
    return checked


def _check_dict(what: str, given: Any) -> None:
    if given is None:
        return
    if not isinstance(given, dict):
        raise PyTritonClientValueError(f"{what} must be a dict, got {type(given).__name__}.")
    for name, value in given.items():
        if not isinstance(name, str):
            raise PyTritonClientValueError(f"{what}: keys must be str, got {name!r}.")
        if not isinstance(value, (str, int, float, bool)):
            raise PyTritonClientValueError(
                f"{what}: the value of {name!r} must be str, int, float or bool, got {type(value).__name__}."
            )
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise PyTritonClientValueError(f"{what}: the value of {name!r} has more than 64 bits: {value}.")


def _fits(array: Array, shape: Sequence[int], is_batch: bool) -> bool:
    sizes = array.shape[1:] if is_batch else array.shape
    if array.ndim != len(shape) + is_batch:
        return False
    return all(want in (-1, got) for want, got in zip(shape, sizes, strict=True))


def _filled(wire: Sequence[int], shape: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """The shape on the wire, whose free dimensions are those of the model's shape, in their order."""
    free = iter([size for want, size in zip(shape, sizes, strict=True) if want == -1])
    return [next(free) if want == -1 else want for want in wire]


def _quoted(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names)
