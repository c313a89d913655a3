# SPDX-License-Identifier: Apache-2.0
"""Functions that are typed per batch: they get the arrays of all requests, once for equal parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeAlias

from pytriton.app.iterators import as_iterator, iterate_async
from pytriton.app.parameters import ParameterReader
from pytriton.app.quick import checked_call
from pytriton.app.signature import Signature
from pytriton.app.tensors import Tensors
from pytriton.batching.batch import batch
from pytriton.batching.context import is_decoupled
from pytriton.batching.groups import ENDED, Groups, wrap_groups
from pytriton.batching.whole import mark_whole, without_wrapper
from pytriton.batching.wrapping import Call
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.request import Request, RequestBatch, Response

__all__ = ["serve_batches"]

Function: TypeAlias = Callable[..., Any]


def serve_batches(model: str, function: Function, signature: Signature) -> Function:
    """What bind takes for a function that is typed per batch."""
    tensors = Tensors(model, signature)
    served = batch(_whole_arrays(function, signature, tensors))
    if not signature.parameters:
        return served
    return _once_for_equal_parameters(served, ParameterReader(model, signature.parameters))


def _whole_arrays(function: Function, signature: Signature, tensors: Tensors) -> Function:
    if signature.streaming:
        return _async_stream(function, tensors) if signature.is_async else _stream(function, tensors)
    if signature.is_async:
        return _coroutine(function, tensors)
    return checked_call(function, signature, tensors)


def _coroutine(function: Function, tensors: Tensors) -> Function:
    async def call(**given: Any) -> Any:
        sizes = tensors.dimensions.sizes(given)
        return tensors.encode(await function(**tensors.arguments(given)), sizes)

    return call


def _stream(function: Function, tensors: Tensors) -> Function:
    def call(**given: Any) -> Iterator[Any]:
        sizes = tensors.dimensions.sizes(given)
        with as_iterator(function(**tensors.arguments(given))) as steps:
            for step in steps:
                yield tensors.encode(step, dict(sizes))

    return call


def _async_stream(function: Function, tensors: Tensors) -> Function:
    async def call(**given: Any) -> AsyncIterator[Any]:
        sizes = tensors.dimensions.sizes(given)
        async with iterate_async(function(**tensors.arguments(given))) as steps:
            async for step in steps:
                yield tensors.encode(step, dict(sizes))

    return call


def _once_for_equal_parameters(served: Function, reader: ParameterReader) -> Function:
    def split(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Groups:
        *bound, requests = args
        grouped = _Grouped(requests, reader)
        if len(grouped.groups) == 1 and not grouped.failures:
            (values,) = grouped.groups
            return Groups([Call(bound, (requests,), dict(values))], None)
        calls = [
            Call(bound, ([requests[index] for index in group],), dict(values))
            for values, group in grouped.groups.items()
        ]
        return Groups(calls, grouped.merge, end_apart=is_decoupled())

    wrapper = wrap_groups(served, split)
    direct = without_wrapper(served)
    mark_whole(wrapper, None if direct is None else direct._replace(takes_parameters=True))
    return wrapper


class _Grouped:
    """Indices of requests by their parameters, and errors of those whose parameters are not possible."""

    def __init__(self, requests: Sequence[Request], reader: ParameterReader) -> None:
        self.groups: dict[tuple[tuple[str, Any], ...], list[int]] = {}
        self.failures: dict[int, PyTritonInferenceError] = {}
        self._count = len(requests)
        self._is_first = True
        whole = requests if isinstance(requests, RequestBatch) else None
        for index in range(len(requests)):
            given = whole.parameters(index) if whole is not None else requests[index].parameters
            try:
                values = reader.read(given or {})
            except PyTritonInferenceError as error:
                self.failures[index] = error
            else:
                self.groups.setdefault(tuple(values.items()), []).append(index)
        if not self.groups:
            self._raise()

    def merge(self, results: Sequence[Any]) -> list[Any]:
        """Responses in the order of the requests, of those of the groups."""
        # What has failed has failed once; it is not to be told again with later steps of a stream.
        merged: list[Any] = [
            self.failures.get(index) if self._is_first else None for index in range(self._count)
        ]
        self._is_first = False
        for group, part in zip(self.groups.values(), results, strict=True):
            parts = [Response({}, final=True)] * len(group) if part is ENDED else part
            for index, response in zip(group, parts, strict=True):
                merged[index] = response
        return merged

    def _raise(self) -> None:
        first = self.failures[0]
        if len(self.failures) == 1:
            raise first
        texts = dict.fromkeys(error.message for error in self.failures.values())
        raise PyTritonInferenceError(" ".join(texts), ErrorCode.INVALID_ARG)
