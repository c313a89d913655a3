# SPDX-License-Identifier: Apache-2.0
"""The inputs and outputs of a signature, ready for calls: everything that can be decided before is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pytriton.app.agreement import InputDimensions, OutputDimensions, Sizes, shared_names
from pytriton.app.signature import Signature
from pytriton.app.values import Decode, Encoder, batch_decoder, row_decoder
from pytriton.exceptions import PyTritonInferenceError
from pytriton.request import Array

__all__ = ["Tensors"]


class _Output(NamedTuple):
    name: str
    encoder: Encoder


class Tensors:
    """Converts and checks the arguments and results of a function."""

    def __init__(self, model: str, signature: Signature) -> None:
        inputs = {each.name: each.type for each in signature.inputs}
        outputs = dict(signature.result.outputs)
        names = shared_names(kind.dims for kind in (*inputs.values(), *outputs.values()))
        self.dimensions = InputDimensions(model, {name: kind.dims for name, kind in inputs.items()}, names)
        decoder = batch_decoder if signature.batched else row_decoder
        self.decoders: dict[str, Decode] = {}
        for name, kind in inputs.items():
            if (decode := decoder(kind, f'model "{model}", input "{name}"')) is not None:
                self.decoders[name] = decode
        self._outputs = [
            _Output(name, Encoder(kind, where, OutputDimensions(where, kind.dims, names, self.dimensions)))
            for name, kind in outputs.items()
            for where in (f'model "{model}", output "{name}"',)
        ]
        container = signature.result.container
        self._take_apart = None if container is None else container.values(tuple(outputs))
        self._container = container
        self._where = f'model "{model}"'
        self.encode = self._encode_one if container is None else self._encode_several

    def arguments(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the function, of arrays or of rows of them."""
        decoders = self.decoders
        return {name: decoders[name](value) if name in decoders else value for name, value in arrays.items()}

    def stack(self, rows: list[dict[str, Array]]) -> dict[str, Array]:
        """The outputs of several rows as whole arrays; PyTritonInferenceError if their shapes differ."""
        stacked = {}
        for name, encoder in self._outputs:
            arrays = [row[name] for row in rows]
            shapes = {array.shape for array in arrays}
            if len(shapes) > 1:
                raise PyTritonInferenceError(
                    f'{self._where}, output "{name}": the samples of one request have different shapes: '
                    f"{', '.join(map(str, sorted(shapes)))}; send them as requests of their own."
                )
            stacked[name] = encoder.stack(arrays)
        return stacked

    def _encode_one(self, result: Any, sizes: Sizes) -> dict[str, Array]:
        ((name, encoder),) = self._outputs
        return {name: encoder.encode(result, sizes)}

    def _encode_several(self, result: Any, sizes: Sizes) -> dict[str, Array]:
        values = self._values(result)
        return {
            name: encoder.encode(value, sizes)
            for (name, encoder), value in zip(self._outputs, values, strict=True)
        }

    def _values(self, result: Any) -> tuple[Any, ...]:
        container, take_apart = self._container, self._take_apart
        assert container is not None
        assert take_apart is not None
        expected = dict if container.is_mapping else container.type
        if not isinstance(result, expected):
            raise PyTritonInferenceError(
                f"{self._where}: the function returned an object of type {type(result).__qualname__}; "
                f"expected {container.type.__qualname__}."
            )
        try:
            return take_apart(result)
        except KeyError as missing:
            raise PyTritonInferenceError(
                f"{self._where}: the function returned a {container.type.__qualname__} without {missing}."
            ) from None
