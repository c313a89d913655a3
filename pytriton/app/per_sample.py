# SPDX-License-Identifier: Apache-2.0
"""Functions that are typed per sample: called once for each row of a batch, their results put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytriton.app.agreement import Sizes
from pytriton.app.iterators import as_iterator, iterate_async
from pytriton.app.parameters import ParameterReader
from pytriton.app.quick import checked_call
from pytriton.app.signature import Signature
from pytriton.app.tensors import Tensors
from pytriton.batching.batch import finish_batch
from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.current import work_on_row
from pytriton.batching.whole import Direct, mark_whole
from pytriton.exceptions import PyTritonInferenceError, PyTritonUnrecoverableError
from pytriton.request import Array, Request, RequestBatch

__all__ = ["serve_samples"]

Function: TypeAlias = Callable[..., Any]
_Row: TypeAlias = dict[str, Any]
_Outputs: TypeAlias = dict[str, Array]
_Answer: TypeAlias = "list[_Outputs] | Exception"
"""Of one request: the outputs of its rows, or why there are none."""


def serve_samples(model: str, function: Function, signature: Signature) -> Function:
    """What bind takes for a function that is typed per sample."""
    samples = _Samples(model, function, signature)
    if signature.streaming:
        wrapper = samples.stream_async() if signature.is_async else samples.stream()
    else:
        wrapper = samples.coroutine() if signature.is_async else samples.function()
    direct = None if signature.streaming or signature.is_async else samples.direct()
    mark_whole(wrapper, direct)
    return wrapper


@dataclass(frozen=True)
class _Begun:  # no tuple, which a worker would take for outputs in their order
    """The rows that were answered before it mattered which ones are of one request."""

    results: list[_Outputs]
    error: Exception | None
    """Of the row after them."""


class _Samples:
    def __init__(self, model: str, function: Function, signature: Signature) -> None:
        self._function = function
        self._tensors = Tensors(model, signature)
        self._reader = ParameterReader(model, signature.parameters) if signature.parameters else None
        self._answer = checked_call(function, signature, self._tensors)

    def function(self) -> Function:
        """Calls the function row by row."""

        def serve(requests: Sequence[Request]) -> Any:
            return self._finish(requests, _Begun([], None))

        return serve

    def direct(self) -> Direct:
        """The same in two steps, of which the first one is enough as long as nothing fails."""
        answer, stack = self._answer, self._tensors.stack

        def begin(**inputs: Array) -> _Outputs | _Begun:
            results: list[_Outputs] = []
            try:
                for row in range(len(next(iter(inputs.values()), ()))):
                    work_on_row(row)
                    results.append(answer(**_row(inputs, row)))
            except PyTritonUnrecoverableError:
                raise
            except Exception as error:
                return _Begun(results, error)
            return stack(results) if _have_one_shape(results) else _Begun(results, None)

        # Parameters are those of a request, and the first step knows of none.
        return Direct(begin, self._finish, takes_parameters=self._reader is not None)

    def coroutine(self) -> Function:
        """Runs the coroutines of all rows side by side."""

        async def serve(requests: Sequence[Request]) -> Any:
            import asyncio  # costs time that others need not spend

            inputs, counts = _rows(requests)

            async def answer(row: int, given: Mapping[str, Any]) -> _Outputs:
                work_on_row(row)  # in the context of this task alone
                arguments = _row(inputs, row)
                sizes = self._tensors.dimensions.sizes(arguments)
                return self._tensors.encode(await self._call(arguments, given), sizes)

            async def answer_all(index: int, rows: range) -> _Answer:
                try:
                    given = self._parameters(requests, index)
                    return await asyncio.gather(*(answer(row, given) for row in rows))
                except PyTritonUnrecoverableError:
                    raise
                except Exception as error:
                    return error

            each = (answer_all(index, rows) for index, rows in enumerate(_ranges(counts)))
            return self._join(requests, await asyncio.gather(*each))

        return serve

    def stream(self) -> Function:
        """Gives the steps of the one row that there is."""

        def serve(requests: Sequence[Request]) -> Iterator[Any]:
            work_on_row(0)
            row, sizes = self._only_row(requests)
            with as_iterator(self._call(row, self._parameters(requests, 0))) as steps:
                for step in steps:
                    yield [self._tensors.stack([self._tensors.encode(step, dict(sizes))])]

        return serve

    def stream_async(self) -> Function:
        """Gives the steps of the one row that there is."""

        async def serve(requests: Sequence[Request]) -> AsyncIterator[Any]:
            work_on_row(0)
            row, sizes = self._only_row(requests)
            async with iterate_async(self._call(row, self._parameters(requests, 0))) as steps:
                async for step in steps:
                    yield [self._tensors.stack([self._tensors.encode(step, dict(sizes))])]

        return serve

    def _only_row(self, requests: Sequence[Request]) -> tuple[_Row, Sizes]:
        row = _row(_rows(requests)[0], 0)
        return row, self._tensors.dimensions.sizes(row)

    def _finish(self, requests: Sequence[Request], begun: Any) -> Any:
        """The responses, of what was answered already; what is left is answered now."""
        if not isinstance(begun, _Begun):
            assert isinstance(requests, RequestBatch)  # direct() is for nothing else
            return finish_batch(requests, begun)
        inputs, counts = _rows(requests)
        answers: list[_Answer] = []
        for index, rows in enumerate(_ranges(counts)):
            if begun.error is not None and len(begun.results) in rows:
                answers.append(begun.error)
                continue
            results = begun.results[rows.start : rows.stop]
            try:
                given = self._parameters(requests, index)
                for row in rows[len(results) :]:
                    work_on_row(row)
                    results.append(self._answer(**_row(inputs, row), **given))
            except PyTritonUnrecoverableError:
                raise
            except Exception as error:
                answers.append(error)
            else:
                answers.append(results)
        return self._join(requests, answers)

    def _join(self, requests: Sequence[Request], answers: Sequence[_Answer]) -> Any:
        """The responses: as whole arrays, if all rows have results of one shape."""
        good = [answer for answer in answers if not isinstance(answer, Exception)]
        if isinstance(requests, RequestBatch) and len(good) == len(answers):
            results = [result for answer in good for result in answer]
            if _have_one_shape(results):
                return finish_batch(requests, self._tensors.stack(results))
        return [self._response(answer) for answer in answers]

    def _response(self, answer: _Answer) -> _Outputs | Exception:
        if isinstance(answer, Exception):
            return answer
        try:
            return self._tensors.stack(answer)
        except PyTritonInferenceError as error:
            return error

    def _call(self, row: _Row, given: Mapping[str, Any]) -> Any:
        return self._function(**self._tensors.arguments(row), **given)

    def _parameters(self, requests: Sequence[Request], index: int) -> dict[str, Any]:
        if self._reader is None:
            return {}
        if isinstance(requests, RequestBatch):
            return self._reader.read(requests.parameters(index))
        return self._reader.read(requests[index].parameters or {})


def _rows(requests: Sequence[Request]) -> tuple[dict[str, Array], Sequence[int]]:
    """The whole arrays, and how many rows of them belong to each request."""
    if isinstance(requests, RequestBatch):
        return requests.inputs, requests.rows
    (request,) = requests  # somebody calls it by hand
    return dict(request.items()), [get_inference_request_batch_size(request)]


def _row(inputs: Mapping[str, Array], row: int) -> _Row:
    return {name: array[row] for name, array in inputs.items()}


def _ranges(counts: Sequence[int]) -> Iterator[range]:
    start = 0
    for count in counts:
        yield range(start, start + count)
        start += count


def _have_one_shape(rows: Sequence[_Outputs]) -> bool:
    return len(rows) == 1 or len({tuple(array.shape for array in row.values()) for row in rows}) == 1
