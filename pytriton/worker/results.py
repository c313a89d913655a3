# SPDX-License-Identifier: Apache-2.0
"""What a function returned, checked and placed in shared memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from pytriton.batching.batch import BatchResult
from pytriton.exceptions import ErrorCode
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request, RequestBatch, Response
from pytriton.worker.arena import Arena, align
from pytriton.worker.channel import Block, MemoryRefused
from pytriton.worker.failures import encode_text
from pytriton.worker.layout import (
    ALL_REQUESTS,
    ERROR_RECORD,
    MAX_RANK,
    RESULT_HEADER,
    TENSOR_RECORD,
    TENSOR_RECORD_OF_RANK,
)
from pytriton.worker.memory import Segment
from pytriton.worker.outputs import Content, Output, declared_outputs

__all__ = ["ResultWriter"]

LOGGER = logging.getLogger(__name__)

# Below, copying costs less than finding out that it is not needed.
_IN_PLACE_SIZE: Final = 64 * 1024


class _Failure(NamedTuple):
    """An error for one request, or for all of them."""

    request: int
    code: ErrorCode
    text: str


class _Item(NamedTuple):
    """A tensor of the result; `offset` is where it lies, if it does already."""

    request: int
    output: Output
    shape: tuple[int, ...]
    content: Content
    offset: int | None


class ResultWriter:
    """Writes the results of one model."""

    def __init__(self, model: TritonModelConfig, *, strict: bool) -> None:
        self._model = model.model_name
        self._outputs = declared_outputs(model, strict=strict)
        self._strict = strict
        self._whole_table = align(RESULT_HEADER.size + TENSOR_RECORD.size * len(self._outputs))

    def write_small(
        self, segment: Segment, start: int, length: int, batch: RequestBatch, outputs: Any
    ) -> Block | None:
        """Place whole-batch outputs where nothing is left to decide; None, and nothing done, where there is.

        That is: numpy arrays of the declared dtypes and the right batch size, small enough to be copied
        anyway. It does in one go what `write` does step by step: for small tensors the steps are what costs.
        """
        if isinstance(outputs, (list, tuple)):
            if len(outputs) != len(self._outputs):
                return None
            named: Iterable[tuple[str, Any]] = zip(self._outputs, outputs, strict=True)
        elif isinstance(outputs, dict):
            named = outputs.items()
        else:
            return None
        memory, rows, end = segment.memory, batch.total_rows, start + length
        record = start + RESULT_HEADER.size
        data = start + self._whole_table
        if self._strict or not batch.batching or data > end:
            return None
        copied = count = 0
        for name, array in named:
            output = self._outputs.get(name)
            if output is None or type(array) is not np.ndarray or array.dtype is not output.number_dtype:
                return None
            shape, size = array.shape, array.nbytes
            if not shape or shape[0] != rows or size >= _IN_PLACE_SIZE or size > end - data:
                return None
            rank = len(shape)
            if rank > MAX_RANK:
                return None
            np.ndarray(shape, array.dtype, memory, data)[...] = array
            TENSOR_RECORD_OF_RANK[rank].pack_into(
                memory, record, output.index, ALL_REQUESTS, output.datatype, rank, data, size, *shape
            )
            record += TENSOR_RECORD.size
            data += align(size)
            copied += size
            count += 1
        RESULT_HEADER.pack_into(memory, start, count, 0)
        segment.bytes_copied += copied
        return Block(start, record - start)

    def write(self, arena: Arena, batch: RequestBatch, result: Any) -> Block:
        """Place a result, or an error for every request whose part of it is wrong."""
        failures: list[_Failure] = []
        try:
            items = self._plan(arena, batch, result, failures)
            table = RESULT_HEADER.size + TENSOR_RECORD.size * len(items) + ERROR_RECORD.size * len(failures)
            data = sum(align(item.content.size) for item in items if item.offset is None)
            start = arena.take(align(table) + data)
        except ValueError as error:
            return self.fail(arena, ErrorCode.INTERNAL, str(error))
        except MemoryRefused as refusal:
            return self._refuse(arena, refusal)
        records_end = self._place(arena, items, start, start + align(table), failures)
        return self._finish(arena, start, records_end, failures)

    def fail(self, arena: Arena, code: ErrorCode, text: str) -> Block:
        """Place an error for all requests."""
        start = arena.take(RESULT_HEADER.size + ERROR_RECORD.size)
        return self._finish(arena, start, start + RESULT_HEADER.size, [_Failure(ALL_REQUESTS, code, text)])

    def _plan(self, arena: Arena, batch: RequestBatch, result: Any, failures: list[_Failure]) -> list[_Item]:
        if isinstance(result, BatchResult) and result.untouched:
            return list(self._items(arena, batch, ALL_REQUESTS, batch.total_rows, result.outputs))
        self._check_responses(batch, result)
        items: list[_Item] = []
        for index, (rows, response) in enumerate(zip(batch.rows, result, strict=True)):
            try:
                items.extend(self._items(arena, batch, index, rows, self._arrays(response)))
            except ValueError as error:
                failures.append(_Failure(index, ErrorCode.INTERNAL, str(error)))
        return items

    def _items(
        self, arena: Arena, batch: RequestBatch, request: int, rows: int, arrays: dict[str, Any]
    ) -> Iterator[_Item]:
        for name, value in arrays.items():
            output = self._outputs.get(name)
            if output is None:
                self._check_undeclared(name)
                continue
            array = output.check(value, rows)
            offset = None
            if array.nbytes >= _IN_PLACE_SIZE:
                if not self._is_wanted(batch, request, name):
                    continue
                if array.dtype == output.dtype and array.flags.c_contiguous:
                    offset = arena.find(array)
            yield _Item(request, output, array.shape, output.content(array), offset)

    def _place(
        self, arena: Arena, items: list[_Item], start: int, data: int, failures: list[_Failure]
    ) -> int:
        segment = arena.segment
        record = start + RESULT_HEADER.size
        for request, output, shape, content, offset in items:
            if offset is None:
                offset = data
                data += align(content.size)
                try:
                    content.write(segment, offset)
                except ValueError as error:
                    failures.append(_Failure(request, ErrorCode.INTERNAL, str(error)))
                    continue
            rank = len(shape)
            TENSOR_RECORD_OF_RANK[rank].pack_into(
                segment.memory,
                record,
                output.index,
                request,
                output.datatype,
                rank,
                offset,
                content.size,
                *shape,
            )
            record += TENSOR_RECORD.size
        return record

    def _finish(self, arena: Arena, start: int, records_end: int, failures: list[_Failure]) -> Block:
        memory = arena.segment.memory
        tensor_count = (records_end - start - RESULT_HEADER.size) // TENSOR_RECORD.size
        if failures:
            failures = _first_of_each_request(failures)
            self._log(failures)
            records_end = self._write_failures(arena, records_end, failures)
        RESULT_HEADER.pack_into(memory, start, tensor_count, len(failures))
        return Block(start, records_end - start)

    def _write_failures(self, arena: Arena, record: int, failures: list[_Failure]) -> int:
        memory = arena.segment.memory
        texts = [encode_text(failure.text) for failure in failures]
        try:
            offset = arena.take(sum(map(len, texts)))
        except MemoryRefused:  # an error without words is still an answer
            texts = [b""] * len(failures)
            offset = 0
        for failure, text in zip(failures, texts, strict=True):
            memory[offset : offset + len(text)] = text
            ERROR_RECORD.pack_into(memory, record, failure.request, failure.code, offset, len(text))
            offset += len(text)
            record += ERROR_RECORD.size
        return record

    def _refuse(self, arena: Arena, refusal: MemoryRefused) -> Block:
        code = ErrorCode.INTERNAL if refusal.wanted > refusal.limit else ErrorCode.UNAVAILABLE
        text = (
            f'model "{self._model}": the results need {refusal.wanted} bytes of shared memory; the limit is '
            f"{refusal.limit} bytes, which input arrays that the function keeps count against as well."
        )
        return self.fail(arena, code, text)

    def _is_wanted(self, batch: RequestBatch, request: int, name: str) -> bool:
        if len(self._outputs) == 1:
            return True
        return batch.is_requested(name, None if request == ALL_REQUESTS else request)

    def _check_responses(self, batch: RequestBatch, result: Any) -> None:
        if not isinstance(result, (list, BatchResult)):
            raise ValueError(
                f'model "{self._model}": the function returned an object of type '
                f"{type(result).__qualname__}; expected a list with one dict for each request, "
                "of numpy arrays by output name."
            )
        if len(result) != len(batch):
            raise ValueError(
                f'model "{self._model}": the function returned {len(result)} responses '
                f"for {len(batch)} requests; expected one dict for each request."
            )

    def _arrays(self, response: Any) -> dict[str, Any]:
        if isinstance(response, dict):
            return response
        if isinstance(response, (Request, Response)):
            return response.data
        raise ValueError(
            f'model "{self._model}": the function returned a list with an object of type '
            f"{type(response).__qualname__}; expected a dict of numpy arrays by output name."
        )

    def _check_undeclared(self, name: Any) -> None:
        if not isinstance(name, str):
            raise ValueError(
                f'model "{self._model}": the function returned an output named {name!r}; expected a string.'
            )
        if self._strict:
            declared = ", ".join(f'"{output}"' for output in self._outputs)
            raise ValueError(
                f'model "{self._model}": the function returned an output "{name}", which is not declared; '
                f"declared are {declared}, and bind() was told to be strict."
            )

    def _log(self, failures: list[_Failure]) -> None:
        others = f" (and {len(failures) - 1} more requests of the batch)" if len(failures) > 1 else ""
        LOGGER.warning('model "%s": inference failed%s: %s', self._model, others, failures[0].text)


def _first_of_each_request(failures: list[_Failure]) -> list[_Failure]:
    first: dict[int, _Failure] = {}
    for failure in failures:
        first.setdefault(failure.request, failure)
    return list(first.values())
