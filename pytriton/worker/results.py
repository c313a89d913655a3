# SPDX-License-Identifier: Apache-2.0
"""What a function returned, checked and placed in shared memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pytriton.batching.batch import BatchResult
from pytriton.exceptions import ErrorCode
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request, RequestBatch, Response
from pytriton.worker.arena import Arena, align
from pytriton.worker.channel import Block, MemoryRefused
from pytriton.worker.failure_log import FailureLog
from pytriton.worker.failures import code_and_text, encode_text
from pytriton.worker.layout import (
    ALL_REQUESTS,
    ERROR_RECORD,
    RESPONSE_LAST,
    RESPONSE_NONE,
    RESPONSE_RECORD,
    RESULT_HEADER,
    TENSOR_RECORD,
    TENSOR_RECORD_OF_RANK,
)
from pytriton.worker.outputs import Content, Output, declared_outputs
from pytriton.worker.parameters import encode_parameters
from pytriton.worker.small_results import IN_PLACE_SIZE, SmallResults

__all__ = ["ResultWriter", "Step"]

LOGGER = logging.getLogger(__name__)

# No request of a batch gets anything more.
_ALL: Final = frozenset((ALL_REQUESTS,))
_NONE: Final = frozenset[int]()


class _Failure(NamedTuple):
    """An error for one request, or for all of them."""

    request: int
    code: ErrorCode
    text: str


class _Note(NamedTuple):
    """What there is to say of the response of a request besides its outputs."""

    request: int
    flags: int
    parameters: bytes = b""
    parameter_count: int = 0


class Step(NamedTuple):
    """A result that was placed, and the requests that get nothing after it."""

    table: Block
    ended: frozenset[int]


class _Plan:
    """What a result comes to, before anything is placed."""

    def __init__(self) -> None:
        self.items: list[_Item] = []
        self.failures: list[_Failure] = []
        self.notes: list[_Note] = []

    @property
    def table_size(self) -> int:
        records = RESULT_HEADER.size + TENSOR_RECORD.size * len(self.items)
        return records + ERROR_RECORD.size * len(self.failures) + RESPONSE_RECORD.size * len(self.notes)

    @property
    def data_size(self) -> int:
        data = sum(align(item.content.size) for item in self.items if item.offset is None)
        return data + sum(len(note.parameters) for note in self.notes)

    @property
    def ended(self) -> frozenset[int]:
        last = (note.request for note in self.notes if note.flags & RESPONSE_LAST)
        return frozenset((*last, *(failure.request for failure in self.failures)))


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
        self._decoupled = model.decoupled
        self._log = FailureLog(self._model, LOGGER)
        self.small: SmallResults | None = None
        """What takes a short way with results that it fits, if the model has any."""
        if not strict:
            self.small = SmallResults(self._outputs, batching=model.batching)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._model

    def write(self, arena: Arena, batch: RequestBatch, result: Any) -> Block:
        """Place a result, or an error for every request whose part of it is wrong."""
        return self.write_step(arena, batch, result).table

    def write_step(self, arena: Arena, batch: RequestBatch, result: Any) -> Step:
        """Place one of any number of results."""
        try:
            if self.small is not None and (placed := self.small.write_step(arena, batch, result)):
                return Step(placed, _NONE)
            plan = self._plan(arena, batch, result)
            table = align(plan.table_size)
            start = arena.take(table + plan.data_size)
        except ValueError as error:
            return Step(self.fail(arena, ErrorCode.INTERNAL, str(error)), _ALL)
        except MemoryRefused as refusal:
            return Step(self._refuse(arena, batch, refusal), _ALL)
        record, data = self._place(arena, plan, start, start + table)
        return Step(self._finish(arena, plan, start, record, data), plan.ended)

    def fail(self, arena: Arena, code: ErrorCode, text: str) -> Block:
        """Place an error for all requests."""
        plan = _Plan()
        plan.failures.append(_Failure(ALL_REQUESTS, code, text))
        start = arena.take(plan.table_size)
        return self._finish(arena, plan, start, start + RESULT_HEADER.size, start)

    def _plan(self, arena: Arena, batch: RequestBatch, result: Any) -> _Plan:
        plan = _Plan()
        if isinstance(result, BatchResult) and result.untouched:
            plan.items.extend(self._items(arena, batch, ALL_REQUESTS, batch.total_rows, result.outputs))
            return plan
        self._check_responses(batch, result)
        for index, (rows, response) in enumerate(zip(batch.rows, result, strict=True)):
            try:
                self._plan_response(plan, arena, batch, index, rows, response)
            except ValueError as error:
                plan.failures.append(_Failure(index, ErrorCode.INTERNAL, str(error)))
        return plan

    def _plan_response(
        self, plan: _Plan, arena: Arena, batch: RequestBatch, index: int, rows: int, response: Any
    ) -> None:
        if isinstance(response, Exception):
            plan.failures.append(_Failure(index, *code_and_text(response)))
        elif response is None and self._decoupled:
            plan.notes.append(_Note(index, RESPONSE_NONE))
        else:
            note = self._note(index, response) if isinstance(response, Response) else None
            plan.items.extend(self._items(arena, batch, index, rows, self._arrays(response)))
            if note is not None:
                plan.notes.append(note)

    def _note(self, index: int, response: Response) -> _Note | None:
        parameters = response.parameters or {}
        if response.final and not self._decoupled:
            raise ValueError(
                f'model "{self._model}": the function returned a final response; '
                "bind the model with ModelConfig(decoupled=True), or leave it out."
            )
        if not response.final and not parameters:
            return None
        flags = RESPONSE_LAST if response.final else 0
        if not parameters and not response.data:
            flags |= RESPONSE_NONE
        try:
            return _Note(index, flags, encode_parameters(parameters), len(parameters))
        except ValueError as error:
            raise ValueError(f'model "{self._model}": {error}.') from None

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
            if array.nbytes >= IN_PLACE_SIZE:
                if not self._is_wanted(batch, request, name):
                    continue
                if array.dtype == output.dtype and array.flags.c_contiguous:
                    offset = arena.find(array)
            yield _Item(request, output, array.shape, output.content(array), offset)

    def _place(self, arena: Arena, plan: _Plan, start: int, data: int) -> tuple[int, int]:
        """Place tensors; where the next record goes, and the next data."""
        segment = arena.segment
        record = start + RESULT_HEADER.size
        for request, output, shape, content, offset in plan.items:
            if offset is None:
                offset = data
                data += align(content.size)
                try:
                    content.write(segment, offset)
                except ValueError as error:
                    plan.failures.append(_Failure(request, ErrorCode.INTERNAL, str(error)))
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
        return record, data

    def _finish(self, arena: Arena, plan: _Plan, start: int, record: int, data: int) -> Block:
        memory = arena.segment.memory
        tensor_count = (record - start - RESULT_HEADER.size) // TENSOR_RECORD.size
        failures = _first_of_each_request(plan.failures)
        if failures:
            self._log.note(failures[0].code, failures[0].text, len(failures))
            record = self._write_failures(arena, record, failures)
        for request, flags, parameters, parameter_count in plan.notes:
            memory[data : data + len(parameters)] = parameters
            RESPONSE_RECORD.pack_into(memory, record, request, flags, data, len(parameters), parameter_count)
            data += len(parameters)
            record += RESPONSE_RECORD.size
        RESULT_HEADER.pack_into(memory, start, tensor_count, len(failures), len(plan.notes), 0)
        return Block(start, record - start)

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

    def _refuse(self, arena: Arena, batch: RequestBatch, refusal: MemoryRefused) -> Block:
        needs = (
            f'model "{self._model}": the results need {refusal.wanted} bytes of shared memory, '
            f"{refusal.need} bytes with the inputs and what else their batch has; the limit is "
            f"{refusal.limit} bytes"
        )
        if refusal.need <= refusal.limit:
            text = (
                f"{needs}, which other batches, and input arrays that the function keeps, count against as "
                f"well; the request can be sent again; {refusal.setting} sets it."
            )
            return self.fail(arena, ErrorCode.UNAVAILABLE, text)
        if len(batch) > 1:
            text = (
                f"{needs}; send fewer or smaller requests at a time, lower ModelConfig(max_batch_size=...), "
                f"or raise it: {refusal.setting} sets it."
            )
            return self.fail(arena, ErrorCode.UNAVAILABLE, text)
        text = f"{needs}: it cannot be served; send smaller requests, or raise it: {refusal.setting} sets it."
        return self.fail(arena, ErrorCode.INTERNAL, text)

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
            f"{type(response).__qualname__}; expected a dict of numpy arrays by output name. A function "
            "gets a list of requests and returns a dict for each; with @batch it gets and returns arrays."
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


def _first_of_each_request(failures: list[_Failure]) -> list[_Failure]:
    first: dict[int, _Failure] = {}
    for failure in failures:
        first.setdefault(failure.request, failure)
    return list(first.values())
