# SPDX-License-Identifier: Apache-2.0
"""Triton's generate extension, without input or output: a request as plain JSON, responses as events.

Neither carries shapes. The server makes those of inputs out of the model's configuration, and so are those of
outputs made here; what cannot be told that way is refused before anything is sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from pytriton import dtypes
from pytriton.client._core import operations as ops
from pytriton.client._core.request import Call, Input, Signature
from pytriton.client._core.tensors import Array, decode_list
from pytriton.client.exceptions import (
    PyTritonClientInferenceServerError,
    PyTritonClientProtocolError,
    PyTritonClientValueError,
)

__all__ = ["Generation"]

_RESERVED: Final = ("id", "parameters", "model_name", "model_version")


class Generation:
    """A request over /generate_stream, and how its responses are read."""

    def __init__(self, signature: Signature, inputs: Sequence[Input], call: Call, what: str) -> None:
        """Check that the extension can carry it.

        Args:
            signature: The model.
            inputs: What is given.
            call: How it is given.
            what: Beginning of messages.
        """
        self._what = what
        self._wanted = call.options.outputs
        self._batch = len(inputs[0].array) if signature.batching else None
        self._outputs = signature.outputs
        self._document = self._request_of(signature, inputs, call)

    def operation(self, model: str, version: str) -> ops.Generate:
        """The request for a model."""
        return ops.Generate(model, version, self._document)

    def outputs(self, event: bytes) -> dict[str, Array]:
        """The outputs of one event, or the exception that it amounts to."""
        try:
            document = json.loads(event)
            if not isinstance(document, dict):
                raise TypeError(f"expected an object, got {type(document).__name__}")
            if "error" in document and "error" not in self._outputs:
                raise PyTritonClientInferenceServerError(f"{self._what}: {document['error']}")
            return {
                name: self._output(name, document[name])
                for name in self._wanted or self._outputs
                if name in document
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PyTritonClientProtocolError(
                f"{self._what}: an event cannot be read ({type(error).__name__}: {error}): {event[:80]!r}."
            ) from error

    def _request_of(self, signature: Signature, inputs: Sequence[Input], call: Call) -> dict[str, Any]:
        options = call.options
        if options.sequence_id or options.priority or options.queue_timeout_us is not None:
            raise self._refused("sequences, priorities and times in the queue")
        document: dict[str, Any] = {} if options.request_id is None else {"id": options.request_id}
        for name, spec in self._outputs.items():
            if sum(size < 0 for size in spec.shape) > 1:
                raise self._refused(f'shapes such as that of output "{name}", {tuple(spec.shape)}')
        for item in inputs:
            if item.name in _RESERVED:
                raise self._refused(f'inputs of the name "{item.name}"')
            wire = signature.wire_shape(item.name)
            made = _made([-1, *wire] if signature.batching else wire, item.array.size)
            if made != item.array.shape or not item.array.size:
                raise self._refused(f'input "{item.name}" of shape {item.array.shape[signature.batching :]}')
            document[item.name] = self._value(item)
        if any(name in document or name in _RESERVED for name in call.parameters):
            raise self._refused("parameters that have the name of an input")
        return {**document, **call.parameters}

    def _value(self, item: Input) -> Any:
        values = item.array.ravel().tolist()
        if item.datatype.name in ("FP16", "BF16"):
            raise self._refused(f'{item.datatype.name}, as of input "{item.name}",')
        try:
            if item.datatype is dtypes.BYTES:
                values = [value if isinstance(value, str) else bytes(value).decode() for value in values]
            json.dumps(values, allow_nan=False)
        except ValueError:
            raise self._refused(f'input "{item.name}": bytes that are no UTF-8, infinities and NaN') from None
        return values[0] if len(values) == 1 else values

    def _output(self, name: str, value: Any) -> Array:
        spec = self._outputs[name]
        values = value if isinstance(value, list) else [value]
        if any(isinstance(each, (list, dict)) for each in values):
            raise TypeError("expected values, or one list of values")
        shape = list(spec.shape)
        if self._batch is not None:
            shape.insert(0, self._batch)
        made = _made(shape, len(values))
        if made is None:
            raise ValueError(f"{len(values)} values for shape {shape}")
        return decode_list(values, spec.datatype, made)

    def _refused(self, what: str) -> PyTritonClientValueError:
        return PyTritonClientValueError(
            f"{self._what}: streams over HTTP (/generate_stream) do not carry {what}; "
            "use grpc://host:port, where the port is 8001 by default."
        )


def _made(shape: Sequence[int], count: int) -> tuple[int, ...] | None:
    """The shape that so many values get: the innermost free dimension takes what the fixed ones leave."""
    fixed = math.prod(size for size in shape if size >= 0)
    if fixed == 0 or count % fixed:
        return None
    left, made = count // fixed, []
    for size in reversed(shape):
        made.append(size if size >= 0 else left)
        left = left if size >= 0 else 1
    return tuple(reversed(made)) if left == 1 else None
