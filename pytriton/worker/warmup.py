# SPDX-License-Identifier: Apache-2.0
"""Warm-up: real calls of the function, in the thread that is to serve it, before the server may send any."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from time import monotonic, monotonic_ns
from typing import Any, Final

from pytriton.batching.current import find_records_with
from pytriton.exceptions import PyTritonModelLoadError
from pytriton.limits import Limits, default_worker_shared_memory_bytes
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.model_config.warmup import ModelWarmup, generate_warmup_data
from pytriton.request import ParameterValue, RequestBatch
from pytriton.worker.arena import Arena, align
from pytriton.worker.callables import Caller
from pytriton.worker.channel import Block, ChannelClosed, MemoryRefused
from pytriton.worker.failures import describe
from pytriton.worker.layout import ERROR_RECORD, RESULT_HEADER, TENSOR_RECORD
from pytriton.worker.memory import Segment
from pytriton.worker.results import ResultWriter

__all__ = ["warm_up"]

LOGGER = logging.getLogger(__name__)

_NOTHING: Final = Block(0, 0)


def warm_up(
    model: TritonModelConfig,
    warmups: Sequence[ModelWarmup],
    caller: Caller,
    writer: ResultWriter,
    check_stopped: Callable[[], object],
) -> None:
    """Call the function with all warm-up requests; the first that fails is an error.

    Args:
        model: The model.
        warmups: What to call it with.
        caller: Calls the function.
        writer: Checks and places what the function returns, as it does for requests.
        check_stopped: Called time and again; raises if the worker is to end.
    """
    for warmup in warmups:
        begin = monotonic()
        for index in range(warmup.count):
            check_stopped()
            try:
                _call(model, warmup, caller, writer, check_stopped)
            except ChannelClosed:
                raise
            except BaseException as error:
                raise PyTritonModelLoadError(
                    f'model "{model.model_name}": request {index + 1} of {warmup.count} of '
                    f'warm-up "{warmup.name}" failed: {_words(error)}'
                ) from None
        LOGGER.info(
            'model "%s": warm-up "%s": %d requests in %.2f s',
            model.model_name,
            warmup.name,
            warmup.count,
            monotonic() - begin,
        )


class _Refused(Exception):
    """What the function returned is no result of the model."""


class _Scratch:
    """Memory for the results of one call, in the place of a channel."""

    def __init__(self, size: int) -> None:
        descriptor = os.memfd_create("pytriton-warmup", os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
            self.segment = Segment(descriptor, size)
        finally:
            os.close(descriptor)
        self._size = size
        self._next = 0

    def reserve(self, _slot: int, length: int) -> Block:
        """Room for so many bytes."""
        start, end = self._next, self._next + align(length)
        if end > self._size:
            raise MemoryRefused(length, self._size, need=end)
        self._next = end
        return Block(start, length)


class _Records:
    """What is known of a warm-up request."""

    def __init__(self, model: TritonModelConfig, rows: int) -> None:
        self._outputs = [spec.name for spec in model.outputs or ()]
        self._rows = rows
        self._received_ns = monotonic_ns()

    def __len__(self) -> int:
        return 1

    def rows(self) -> list[int]:
        return [self._rows]

    def parameters(self, index: int) -> dict[str, ParameterValue]:
        return {}

    def requested_output_names(self, index: int) -> list[str]:
        return self._outputs

    def trace_context(self, index: int) -> str:
        return ""

    def id(self, index: int) -> str:
        return ""

    def timeout_us(self, index: int) -> int:
        return 0

    def received_ns(self) -> int:
        return self._received_ns

    def is_cancelled(self, index: int) -> bool:
        return False


def _call(
    model: TritonModelConfig,
    warmup: ModelWarmup,
    caller: Caller,
    writer: ResultWriter,
    check_stopped: Callable[[], object],
) -> None:
    rows = warmup.batch_size if model.batching else None
    inputs = {name: generate_warmup_data(item, rows) for name, item in warmup.inputs.items()}
    count = 1 if rows is None else rows
    records = _Records(model, count)
    find_records_with(lambda: records)
    batch = RequestBatch(inputs, records, total_rows=count, batching=model.batching)
    for result in _results(model, caller, batch):
        scratch: Any = _Scratch(_memory_size(model))
        block = writer.write(Arena(scratch, 0, _NOTHING, _NOTHING), batch, result)
        _check(scratch.segment, block)
        check_stopped()


def _memory_size(model: TritonModelConfig) -> int:
    """What a worker may have for its results; only what they need is ever taken."""
    of_all = model.shared_memory_bytes or Limits().all_shared_memory_bytes
    return model.worker_shared_memory_bytes or default_worker_shared_memory_bytes(of_all)


def _results(model: TritonModelConfig, caller: Caller, batch: RequestBatch) -> Iterator[Any]:
    if model.decoupled:
        yield from caller.each(batch)
    else:
        yield caller.call(batch)


def _check(segment: Segment, table: Block) -> None:
    tensor_count, error_count, *_ = RESULT_HEADER.unpack_from(segment.memory, table.offset)
    if error_count:
        record = table.offset + RESULT_HEADER.size + tensor_count * TENSOR_RECORD.size
        _, _, offset, length = ERROR_RECORD.unpack_from(segment.memory, record)
        raise _Refused(segment.memory[offset : offset + length].decode())


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, _Refused) else describe(error)
