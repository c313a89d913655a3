# SPDX-License-Identifier: Apache-2.0
"""A short way for results where nothing is left to decide: for small tensors the steps are what costs.

That is: numpy arrays of the declared dtypes and the right batch size, small enough to be copied anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import numpy as np

from pytriton.batching.batch import BatchResult
from pytriton.request import Array, RequestBatch
from pytriton.worker.arena import Arena, align
from pytriton.worker.channel import Block
from pytriton.worker.layout import (
    ALL_REQUESTS,
    MAX_RANK,
    RESULT_HEADER,
    TENSOR_RECORD,
    TENSOR_RECORD_OF_RANK,
)
from pytriton.worker.memory import Segment
from pytriton.worker.outputs import Output

__all__ = ["IN_PLACE_SIZE", "SmallResults"]

IN_PLACE_SIZE: Final = 64 * 1024
"""Below, copying costs less than finding out that it is not needed."""

_Found: TypeAlias = "list[tuple[int, Output, Array]]"


class SmallResults:
    """Places results of a model that is not strict; None, and nothing done, where there is more to decide."""

    def __init__(self, outputs: dict[str, Output], *, batching: bool) -> None:
        self._outputs = outputs
        self._batching = batching
        self._whole_table = align(RESULT_HEADER.size + TENSOR_RECORD.size * len(outputs))

    def write(self, segment: Segment, start: int, length: int, rows: int, outputs: Any) -> Block | None:
        """Place outputs of a whole batch."""
        if isinstance(outputs, (list, tuple)):
            if len(outputs) != len(self._outputs):
                return None
            named: Iterable[tuple[str, Any]] = zip(self._outputs, outputs, strict=True)
        elif isinstance(outputs, dict):
            named = outputs.items()
        else:
            return None
        memory, end = segment.memory, start + length
        record = start + RESULT_HEADER.size
        data = start + self._whole_table
        if not self._batching or data > end:
            return None
        copied = count = 0
        for name, array in named:
            output = self._outputs.get(name)
            if output is None or type(array) is not np.ndarray or array.dtype is not output.number_dtype:
                return None
            shape, size = array.shape, array.nbytes
            if not shape or shape[0] != rows or size >= IN_PLACE_SIZE or size > end - data:
                return None
            rank = len(shape)
            if rank > MAX_RANK or not array.flags.c_contiguous:
                return None
            # As bytes, which costs a fraction of making an array there. Typeshed learns in 3.12 that it may.
            memory[data : data + size] = array  # type: ignore[call-overload]
            TENSOR_RECORD_OF_RANK[rank].pack_into(
                memory, record, output.index, ALL_REQUESTS, output.datatype, rank, data, size, *shape
            )
            record += TENSOR_RECORD.size
            data += align(size)
            copied += size
            count += 1
        RESULT_HEADER.pack_into(memory, start, count, 0, 0, 0)
        segment.bytes_copied += copied
        return Block(start, record - start)

    def write_step(self, arena: Arena, batch: RequestBatch, result: Any) -> Block | None:
        """Place a step of a stream."""
        found: _Found = []
        if type(result) is list:
            size = self._find_in_list(found, batch, result)
        elif type(result) is BatchResult and result.untouched:
            size = self._find(found, ALL_REQUESTS, batch.total_rows, result.outputs)
        else:
            return None
        if size is None:
            return None
        segment = arena.segment
        memory = segment.memory
        table = RESULT_HEADER.size + TENSOR_RECORD.size * len(found)
        start = arena.take(align(table) + size)
        record, data = start + RESULT_HEADER.size, start + align(table)
        for request, output, array in found:
            shape, size = array.shape, array.nbytes
            memory[data : data + size] = array  # type: ignore[call-overload]
            rank = len(shape)
            TENSOR_RECORD_OF_RANK[rank].pack_into(
                memory, record, output.index, request, output.datatype, rank, data, size, *shape
            )
            record += TENSOR_RECORD.size
            data += align(size)
            segment.bytes_copied += size
        RESULT_HEADER.pack_into(memory, start, len(found), 0, 0, 0)
        return Block(start, table)

    def _find_in_list(self, found: _Found, batch: RequestBatch, responses: list[Any]) -> int | None:
        if len(responses) != len(batch):
            return None
        rows = batch.rows if self._batching else None
        whole = 0
        for index, response in enumerate(responses):
            if type(response) is not dict:
                return None
            size = self._find(found, index, rows[index] if rows else 1, response)
            if size is None:
                return None
            whole += size
        return whole

    def _find(self, found: _Found, request: int, rows: int, arrays: dict[str, Any]) -> int | None:
        """The arrays of a request, and the memory that they need."""
        whole = 0
        for name, array in arrays.items():
            output = self._outputs.get(name)
            if output is None or type(array) is not np.ndarray or array.dtype is not output.number_dtype:
                return None
            shape, size = array.shape, array.nbytes
            if size >= IN_PLACE_SIZE or len(shape) > MAX_RANK or not array.flags.c_contiguous:
                return None
            if self._batching and (not shape or shape[0] != rows):
                return None
            found.append((request, output, array))
            whole += align(size)
        return whole
