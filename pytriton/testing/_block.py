# SPDX-License-Identifier: Apache-2.0
"""The block of a batch as the native backend writes it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic_ns
from typing import Any, Final, NamedTuple

import numpy as np

from pytriton import dtypes
from pytriton.request import Array, ParameterValue
from pytriton.worker import layout
from pytriton.worker.arena import align

__all__ = ["BlockWriter", "Requested"]

_FREE: Final = 4096


class Requested(NamedTuple):
    """A request as the server sees it; inputs have the batch dimension if the model has one."""

    inputs: Mapping[str, Array]
    rows: int
    parameters: Mapping[str, ParameterValue]
    outputs: Sequence[int]
    """Indices of the outputs that are asked for."""
    id: str = ""
    timeout_us: int = 0


class BlockWriter:
    """The block of some requests that have the same inputs, ready to be written."""

    def __init__(self, requests: Sequence[Requested], inputs: Sequence[str], *, free: int = _FREE) -> None:
        """Gather the requests.

        Args:
            requests: The requests; inputs of several are joined along their first dimension.
            inputs: Names of the model's inputs in the declared order.
            free: Bytes for results behind the inputs.
        """
        self._free = free
        self._requests = requests
        self._names = [name for name in inputs if name in requests[0].inputs]
        self._positions = [inputs.index(name) for name in self._names]
        self._arrays = [_joined([request.inputs[name] for request in requests]) for name in self._names]
        self._contents = [_encoded(array) for array in self._arrays]
        self._metas = [_meta(request) for request in requests]
        records = layout.BLOCK_HEADER.size + layout.REQUEST_RECORD.size * len(requests)
        self._tensors_offset = records
        self._data_offset = records + layout.TENSOR_RECORD.size * len(self._names)
        self.length = align(self._data_offset + sum(map(len, self._metas))) + free
        self.length += sum(align(len(content)) for content in self._contents)

    def write(self, memory: Any, base: int) -> None:
        """Write it to `length` bytes of memory from `base` on."""
        requests_offset = base + layout.BLOCK_HEADER.size
        cursor = base + self._data_offset
        for index, (request, meta) in enumerate(zip(self._requests, self._metas, strict=True)):
            layout.REQUEST_RECORD.pack_into(
                memory,
                requests_offset + index * layout.REQUEST_RECORD.size,
                *(request.rows, request.timeout_us, 0, cursor, len(meta), len(request.outputs)),
                *(len(request.id.encode()), len(request.parameters), 0, 0, 0),
            )
            memory[cursor : cursor + len(meta)] = meta
            cursor += len(meta)
        cursor = self._write_tensors(memory, base + self._tensors_offset, align(cursor))
        layout.BLOCK_HEADER.pack_into(
            memory,
            base,
            *(len(self._requests), len(self._names), sum(request.rows for request in self._requests)),
            *(requests_offset, base + self._tensors_offset, cursor, self._free, monotonic_ns(), 0),
        )

    def _write_tensors(self, memory: Any, record: int, cursor: int) -> int:
        for position, array, content in zip(self._positions, self._arrays, self._contents, strict=True):
            layout.TENSOR_RECORD_OF_RANK[array.ndim].pack_into(
                memory,
                record,
                *(position, layout.ALL_REQUESTS, dtypes.resolve(array.dtype).number, array.ndim),
                *(cursor, len(content), *array.shape),
            )
            memory[cursor : cursor + len(content)] = content
            record += layout.TENSOR_RECORD.size
            cursor += align(len(content))
        return cursor


def _joined(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _encoded(array: Array) -> bytes:
    if array.dtype != object:
        return array.tobytes()
    strings = array.ravel().tolist()
    pieces = [struct.pack("=BI", layout.LIST_TAG, len(strings))]
    for string in strings:
        pieces += struct.pack("=BI", layout.STRING_TAG, len(string)), string
    return b"".join(pieces)


def _meta(request: Requested) -> bytes:
    parts = [struct.pack(f"={len(request.outputs)}I", *request.outputs), request.id.encode()]
    parts += _encoded_parameters(request.parameters.items())
    return b"".join(parts)


def _encoded_parameters(parameters: Iterable[tuple[str, ParameterValue]]) -> Iterable[bytes]:
    for name, value in parameters:
        key, (kind, content) = name.encode(), _encoded_parameter(value)
        yield layout.PARAMETER_HEADER.pack(len(key), kind, len(content)) + key + content


def _encoded_parameter(value: ParameterValue) -> tuple[int, bytes]:
    if isinstance(value, str):
        # Headers are bytes of the client's choice.
        return layout.PARAMETER_STRING, value.encode(errors="surrogateescape")
    if isinstance(value, bool):
        return layout.PARAMETER_BOOL, struct.pack("=?", value)
    if isinstance(value, int):
        return layout.PARAMETER_INT, struct.pack("=q", value)
    return layout.PARAMETER_DOUBLE, struct.pack("=d", value)
