# SPDX-License-Identifier: Apache-2.0
"""Functions that are typed per sample: called once for each row of a batch, their results put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeAlias

from pytriton.app.agreement import Sizes
from pytriton.app.iterators import as_iterator, iterate_async
from pytriton.app.parameters import ParameterReader
from pytriton.app.signature import Signature
from pytriton.app.tensors import Tensors
from pytriton.batching.batch import finish_batch
from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.current import work_on_request
from pytriton.batching.whole import mark_whole
from pytriton.exceptions import PyTritonInferenceError, PyTritonUnrecoverableError
from pytriton.request import Request, RequestBatch

__all__ = ["serve_samples"]

Function: TypeAlias = Callable[..., Any]


def serve_samples(model: str, function: Function, signature: Signature) -> Function:
    """What bind takes for a function that is typed per sample."""
    samples = _Samples(model, function, signature)
    if signature.streaming:
        wrapper = samples.stream_async() if signature.is_async else samples.stream()
    else:
        wrapper = samples.coroutine() if signature.is_async else samples.function()
    mark_whole(wrapper)
    return wrapper


class _Samples:
    def __init__(self, model: str, function: Function, signature: Signature) -> None:
        self._function = function
        self._tensors = Tensors(model, signature)
        self._reader = ParameterReader(model, signature.parameters) if signature.parameters else None

    def function(self) -> Function:
        """Calls the function row by row."""

        def serve(requests: Sequence[Request]) -> Any:
            batch = _Rows(requests, self._tensors)
            for index, rows in enumerate(batch.rows):
                work_on_request(index)
                try:
                    given = self._parameters(requests, index)
                    results = [self._function(**self._arguments(batch, row), **given) for row in rows]
                    batch.note(index, results)
                except PyTritonUnrecoverableError:
                    raise
                except Exception as error:
                    batch.fail(index, error)
            return batch.join(requests)

        return serve

    def coroutine(self) -> Function:
        """Runs the coroutines of all rows side by side."""

        async def serve(requests: Sequence[Request]) -> Any:
            import asyncio  # costs time that others need not spend

            batch = _Rows(requests, self._tensors)

            async def answer(index: int, rows: range) -> None:
                work_on_request(index)  # in the context of this task alone
                try:
                    given = self._parameters(requests, index)
                    calls = [self._function(**self._arguments(batch, row), **given) for row in rows]
                    batch.note(index, await asyncio.gather(*calls))
                except PyTritonUnrecoverableError:
                    raise
                except Exception as error:
                    batch.fail(index, error)

            await asyncio.gather(*(answer(index, rows) for index, rows in enumerate(batch.rows)))
            return batch.join(requests)

        return serve

    def stream(self) -> Function:
        """Gives the steps of the one row that there is."""

        def serve(requests: Sequence[Request]) -> Iterator[Any]:
            work_on_request(0)
            batch = _Rows(requests, self._tensors)
            result = self._function(**self._arguments(batch, 0), **self._parameters(requests, 0))
            with as_iterator(result) as steps:
                for step in steps:
                    yield batch.step(step)

        return serve

    def stream_async(self) -> Function:
        """Gives the steps of the one row that there is."""

        async def serve(requests: Sequence[Request]) -> AsyncIterator[Any]:
            work_on_request(0)
            batch = _Rows(requests, self._tensors)
            result = self._function(**self._arguments(batch, 0), **self._parameters(requests, 0))
            async with iterate_async(result) as steps:
                async for step in steps:
                    yield batch.step(step)

        return serve

    def _arguments(self, batch: _Rows, row: int) -> dict[str, Any]:
        return self._tensors.arguments({name: array[row] for name, array in batch.inputs.items()})

    def _parameters(self, requests: Sequence[Request], index: int) -> dict[str, Any]:
        if self._reader is None:
            return {}
        if isinstance(requests, RequestBatch):
            return self._reader.read(requests.parameters(index))
        return self._reader.read(requests[index].parameters or {})


class _Rows:
    """The rows of a batch, and what has become of those of each request."""

    def __init__(self, requests: Sequence[Request], tensors: Tensors) -> None:
        self._tensors = tensors
        if isinstance(requests, RequestBatch):
            self.inputs, counts = requests.inputs, requests.rows
        else:  # somebody calls it by hand
            (request,) = requests
            self.inputs = dict(request.items())
            counts = [get_inference_request_batch_size(request)]
        self.sizes: Sizes = tensors.dimensions.sizes(self.inputs)
        self.rows = _ranges(counts)
        self._results: list[list[Any]] = [[] for _ in counts]
        self._errors: dict[int, Exception] = {}

    def note(self, index: int, results: list[Any]) -> None:
        """Take the results of a request."""
        self._results[index] = [self._tensors.encode(result, dict(self.sizes)) for result in results]

    def fail(self, index: int, error: Exception) -> None:
        """Take the error of a request."""
        self._errors[index] = error

    def step(self, result: Any) -> list[Any]:
        """The responses for a result of the one row that there is."""
        return [self._tensors.stack([self._tensors.encode(result, dict(self.sizes))])]

    def join(self, requests: Sequence[Request]) -> Any:
        """The responses: as whole arrays, if all rows have results of one shape."""
        rows = [row for results in self._results for row in results]
        if not self._errors and isinstance(requests, RequestBatch) and _have_one_shape(rows):
            return finish_batch(requests, self._tensors.stack(rows))
        return [self._response(index) for index in range(len(self._results))]

    def _response(self, index: int) -> Any:
        if index in self._errors:
            return self._errors[index]
        try:
            return self._tensors.stack(self._results[index])
        except PyTritonInferenceError as error:
            return error


def _ranges(counts: Sequence[int]) -> list[range]:
    ranges, start = [], 0
    for count in counts:
        ranges.append(range(start, start + count))
        start += count
    return ranges


def _have_one_shape(rows: Sequence[dict[str, Any]]) -> bool:
    shapes = {tuple(array.shape for array in row.values()) for row in rows}
    return len(shapes) == 1
