# SPDX-License-Identifier: Apache-2.0
"""The result of a batch as the native backend reads it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytriton import dtypes
from pytriton.exceptions import ErrorCode
from pytriton.request import Array, ParameterValue
from pytriton.worker import layout
from pytriton.worker.channel import Block
from pytriton.worker.layout import ALL_REQUESTS
from pytriton.worker.views import element_dtype

__all__ = ["Result", "read_result"]

_VALUES = {layout.PARAMETER_INT: "=q", layout.PARAMETER_BOOL: "=?", layout.PARAMETER_DOUBLE: "=d"}


@dataclass
class Result:
    """What a result says, by request or ALL_REQUESTS."""

    tensors: dict[int, dict[int, Array]] = field(default_factory=dict)
    """Copies of outputs by their index."""
    errors: dict[int, tuple[ErrorCode, str]] = field(default_factory=dict)
    notes: dict[int, tuple[int, dict[str, ParameterValue]]] = field(default_factory=dict)
    """Flags and parameters of responses."""

    def error(self, request: int) -> tuple[ErrorCode, str] | None:
        """The error of a request."""
        return self.errors.get(request, self.errors.get(ALL_REQUESTS))

    def outputs(self, request: int, rows: slice, *, batching: bool) -> dict[int, Array]:
        """The outputs of a request, whose part of the batch these rows are."""
        whole = self.tensors.get(ALL_REQUESTS, {})
        outputs = {index: array[rows] if batching else array for index, array in whole.items()}
        return {**outputs, **self.tensors.get(request, {})}


def read_result(memory: Any, table: Block) -> Result:
    """Read a result table, and copy what it describes."""
    result = Result()
    if table.length == 0:
        return result
    tensor_count, error_count, note_count, _ = layout.RESULT_HEADER.unpack_from(memory, table.offset)
    cursor = table.offset + layout.RESULT_HEADER.size
    for _ in range(tensor_count):
        fields = layout.TENSOR_RECORD.unpack_from(memory, cursor)
        index, request, datatype, rank, offset, length = fields[:6]
        content = memory[offset : offset + length]
        result.tensors.setdefault(request, {})[index] = _tensor(datatype, fields[6 : 6 + rank], content)
        cursor += layout.TENSOR_RECORD.size
    for _ in range(error_count):
        request, code, offset, length = layout.ERROR_RECORD.unpack_from(memory, cursor)
        result.errors[request] = ErrorCode(code), memory[offset : offset + length].decode(errors="replace")
        cursor += layout.ERROR_RECORD.size
    for _ in range(note_count):
        request, flags, offset, length, count = layout.RESPONSE_RECORD.unpack_from(memory, cursor)
        result.notes[request] = flags, _parameters(memory[offset : offset + length], count)
        cursor += layout.RESPONSE_RECORD.size
    return result


def _tensor(datatype: int, shape: tuple[int, ...], content: bytes) -> Array:
    if datatype != dtypes.BYTES.number:
        return np.frombuffer(content, element_dtype(datatype)).reshape(shape).copy()
    count = math.prod(shape)
    strings, cursor = [], layout.LIST_HEAD
    for _ in range(count):
        _, length = struct.unpack_from("=BI", content, cursor)
        cursor += layout.STRING_HEAD
        strings.append(content[cursor : cursor + length])
        cursor += length
    return np.fromiter(strings, np.dtype(object), count).reshape(shape)


def _parameters(content: bytes, count: int) -> dict[str, ParameterValue]:
    parameters: dict[str, ParameterValue] = {}
    cursor = 0
    for _ in range(count):
        key_length, kind, value_length = layout.PARAMETER_HEADER.unpack_from(content, cursor)
        start = cursor + layout.PARAMETER_HEADER.size + key_length
        key = content[start - key_length : start].decode()
        value = content[start : start + value_length]
        parameters[key] = struct.unpack(_VALUES[kind], value)[0] if kind in _VALUES else value.decode()
        cursor = start + value_length
    return parameters
