# SPDX-License-Identifier: Apache-2.0
"""The block of a batch as Python objects: arrays over it, and requests when somebody asks for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from struct import Struct, unpack_from
from typing import Any, Final

import numpy as np

from pytriton import dtypes
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Array, ParameterValue, RequestBatch, RequestRecords
from pytriton.worker import layout
from pytriton.worker.layout import BLOCK_HEADER, PARAMETER_HEADER, REQUEST_RECORD, TENSOR_RECORD
from pytriton.worker.memory import Segment
from pytriton.worker.strings import read_strings

__all__ = ["BlockReader", "element_dtype"]

_BYTES: Final = dtypes.BYTES.number
_ROWS: Final = np.dtype(np.uint64)
_COUNT: Final = np.dtype(np.uint32)
_FLAGS: Final = Struct("=I")
_NUMBER: Final = Struct("=Q")
_RECEIVED_OFFSET: Final = BLOCK_HEADER.offset("received_ns")
_TIMEOUT_OFFSET: Final = REQUEST_RECORD.offset("timeout_us")
_FLAGS_OFFSET: Final = REQUEST_RECORD.offset("flags")
_PARAMETERS_OFFSET: Final = REQUEST_RECORD.offset("parameter_count")
_PARAMETER_VALUES: Final = {
    layout.PARAMETER_INT: Struct("=q"),
    layout.PARAMETER_BOOL: Struct("=?"),
    layout.PARAMETER_DOUBLE: Struct("=d"),
}


@functools.cache
def element_dtype(datatype: int) -> np.dtype[Any]:
    """The dtype of arrays that hold a datatype, by its number."""
    return dtypes.from_number(datatype).numpy_dtype


class BlockReader:
    """Reads the batches of one model."""

    def __init__(self, model: TritonModelConfig) -> None:
        self._batching = model.batching
        self._inputs = [spec.name for spec in model.inputs or ()]
        self._outputs = [spec.name for spec in model.outputs or ()]

    def read(self, segment: Segment, exporter: Array, base: int) -> tuple[RequestBatch, int, int]:
        """The batch whose block `exporter` covers, and where its results may go: offset and length."""
        inputs, _, free, free_length = self.read_inputs(segment, exporter, base)
        return self.batch_of(inputs, segment, exporter, base), free, free_length

    def read_inputs(
        self, segment: Segment, exporter: Array, base: int
    ) -> tuple[dict[str, Array], int, int, int]:
        """The inputs of a batch, its rows, and where its results may go: all that a whole batch needs."""
        memory, dtype_of = segment.memory, element_dtype
        (_, input_count, rows, _, record, free, free_length, _, _) = BLOCK_HEADER.unpack_from(memory, base)
        inputs = {}
        for _ in range(input_count):
            fields = TENSOR_RECORD.unpack_from(memory, record)
            tensor, _, datatype, rank, offset, length = fields[:6]
            shape = fields[6 : 6 + rank]
            if datatype == _BYTES:
                array = read_strings(segment, shape, offset, length)
            else:
                array = np.ndarray(shape, dtype_of(datatype), exporter, offset - base)
            inputs[self._inputs[tensor]] = array
            record += TENSOR_RECORD.size
        return inputs, rows, free, free_length

    def has_parameters(self, segment: Segment, base: int) -> bool:
        """Whether any request of a batch has parameters."""
        (count, _, _, requests, _, _, _, _, _) = BLOCK_HEADER.unpack_from(segment.memory, base)
        stride = (REQUEST_RECORD.size,)
        counts: Array = np.ndarray((count,), _COUNT, segment.memory, requests + _PARAMETERS_OFFSET, stride)
        return bool(counts.any())

    def batch_of(
        self, inputs: dict[str, Array], segment: Segment, exporter: Array, base: int
    ) -> RequestBatch:
        """The requests that such inputs are made up of."""
        (count, _, rows, requests, _, _, _, _, _) = BLOCK_HEADER.unpack_from(segment.memory, base)
        records = _Records(exporter, base, requests - base, count, self._outputs)
        return RequestBatch(inputs, records, total_rows=rows, batching=self._batching)

    def copy_records(self, segment: Segment, base: int, is_current: Callable[[], bool]) -> RequestRecords:
        """What is known of the requests of a block that need not stay; marks are looked up while it does."""
        memory = segment.memory
        (count, _, _, requests, _, _, _, _, _) = BLOCK_HEADER.unpack_from(memory, base)
        last = requests + (count - 1) * REQUEST_RECORD.size
        (_, _, _, meta, meta_length, *_) = REQUEST_RECORD.unpack_from(memory, last)
        block = memory[base : meta + meta_length]
        return _CopiedRecords(segment, is_current, block, base, requests - base, count, self._outputs)


class _Records:
    """The request records of a block; they hold its exporter, so they can be read as long as they exist."""

    __slots__ = ("_base", "_block", "_count", "_offset", "_outputs")

    def __init__(self, block: Any, base: int, offset: int, count: int, outputs: list[str]) -> None:
        self._block = block
        self._base = base
        self._offset = offset
        self._count = count
        self._outputs = outputs

    def __len__(self) -> int:
        return self._count

    def rows(self) -> list[int]:
        rows: Array = np.ndarray((self._count,), _ROWS, self._block, self._offset, (REQUEST_RECORD.size,))
        return rows.tolist()  # type: ignore[no-any-return]

    def parameters(self, index: int) -> dict[str, ParameterValue]:
        meta, output_count, id_length, count = self._meta(index)
        cursor = meta + 4 * output_count + id_length
        parameters: dict[str, ParameterValue] = {}
        for _ in range(count):
            key_length, kind, value_length = PARAMETER_HEADER.unpack_from(self._block, cursor)
            key_start = cursor + PARAMETER_HEADER.size
            value_start = key_start + key_length
            cursor = value_start + value_length
            key = str(self._block[key_start:value_start], errors="replace")
            parameters[key] = self._value(kind, value_start, cursor)
        return parameters

    def requested_output_names(self, index: int) -> list[str]:
        meta, output_count, _, _ = self._meta(index)
        return [self._outputs[output] for output in unpack_from(f"={output_count}I", self._block, meta)]

    def trace_context(self, index: int) -> str:
        fields = REQUEST_RECORD.unpack_from(self._block, self._offset + index * REQUEST_RECORD.size)
        (_, _, _, meta, length, _, _, _, _, trace_length, _) = fields
        end = meta - self._base + length
        return str(self._block[end - trace_length : end], errors="replace")

    def id(self, index: int) -> str:
        meta, output_count, id_length, _ = self._meta(index)
        start = meta + 4 * output_count
        return str(self._block[start : start + id_length], errors="replace")

    def timeout_us(self, index: int) -> int:
        offset = self._offset + index * REQUEST_RECORD.size + _TIMEOUT_OFFSET
        timeout_us: int = _NUMBER.unpack_from(self._block, offset)[0]
        return timeout_us

    def received_ns(self) -> int:
        received_ns: int = _NUMBER.unpack_from(self._block, _RECEIVED_OFFSET)[0]
        return received_ns

    def is_cancelled(self, index: int) -> bool:
        """Whether the server has marked a request, which it does at any time."""
        offset = self._offset + index * REQUEST_RECORD.size + _FLAGS_OFFSET
        flags: int = _FLAGS.unpack_from(self._block, offset)[0]
        return flags & layout.REQUEST_CANCELLED != 0

    def _meta(self, index: int) -> tuple[int, int, int, int]:
        fields = REQUEST_RECORD.unpack_from(self._block, self._offset + index * REQUEST_RECORD.size)
        (_, _, _, meta, _, output_count, id_length, parameter_count, _, _, _) = fields
        return meta - self._base, output_count, id_length, parameter_count

    def _value(self, kind: int, start: int, end: int) -> ParameterValue:
        if kind == layout.PARAMETER_STRING:
            # Header values are whatever bytes the client sent.
            return str(self._block[start:end], errors="replace")
        value: ParameterValue = _PARAMETER_VALUES[kind].unpack_from(self._block, start)[0]
        return value


class _CopiedRecords(_Records):
    """The same of a batch whose memory may be another's by now."""

    __slots__ = ("_is_current", "_segment")

    def __init__(self, segment: Segment, is_current: Callable[[], bool], *of_block: Any) -> None:
        super().__init__(*of_block)
        self._segment = segment
        self._is_current = is_current

    def is_cancelled(self, index: int) -> bool:
        if not self._is_current():
            return super().is_cancelled(index)
        offset = self._base + self._offset + index * REQUEST_RECORD.size + _FLAGS_OFFSET
        flags: int = _FLAGS.unpack_from(self._segment.memory, offset)[0]
        return flags & layout.REQUEST_CANCELLED != 0
