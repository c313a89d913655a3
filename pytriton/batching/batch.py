# SPDX-License-Identifier: Apache-2.0
"""The `batch` decorator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.context import current_model
from pytriton.batching.outputs import name_outputs
from pytriton.batching.running_rows import RunningRows
from pytriton.batching.spans import batch_spans
from pytriton.batching.whole import Direct, mark_whole
from pytriton.batching.wrapping import Call, leave_any, wrap
from pytriton.exceptions import PyTritonValidationError
from pytriton.request import Array, Request, RequestBatch, split_rows

__all__ = ["BatchResult", "batch", "finish_batch"]


def batch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function with each input of all requests as one array along the first dimension.

    It returns a dict of arrays, or a list or tuple of them in the order of the declared outputs. The first
    dimension of each is the size of the whole batch; every request gets its part.
    """
    wrapper = wrap(function, functools.partial(_enter, function), _responses)
    mark_whole(wrapper, Direct(function, finish_batch))
    return wrapper


def finish_batch(requests: RequestBatch, outputs: Any) -> Any:
    """What the wrapper of @batch makes of what its function returned."""
    return leave_any(requests, outputs, _responses)


class BatchResult(Sequence[dict[str, Array]]):
    """Outputs of a whole batch; as a sequence, the views of them that belong to each request."""

    __slots__ = ("_parts", "_requests", "outputs")

    def __init__(self, outputs: dict[str, Array], requests: RequestBatch) -> None:
        self.outputs = outputs
        self._requests = requests
        self._parts: list[dict[str, Array]] | None = None

    @property
    def untouched(self) -> bool:
        """Whether nobody has seen the parts, and may have changed them."""
        return self._parts is None

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> dict[str, Array]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Array]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Array] | list[dict[str, Array]]:
        return self._split()[index]

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return iter(self._split())

    def _split(self) -> list[dict[str, Array]]:
        if self._parts is None:
            self._parts = list(split_rows(self.outputs, self._requests.rows))
        return self._parts


def _enter(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    try:
        *bound, requests = args
        inputs = _inputs(requests)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        if args and _are_requests(args[-1]):
            raise
        name = getattr(function, "__name__", "function")
        raise PyTritonValidationError(
            f"A function with @batch is called with a list of requests. To call {name} with arrays, as in a "
            f"test, use {name}.__wrapped__(...)."
        ) from error
    return Call(bound, (), {**kwargs, **inputs}, requests, batch_spans(requests))


def _are_requests(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(request, (Request, Mapping)) for request in value)


def _inputs(requests: Sequence[Request]) -> Mapping[str, Array]:
    if isinstance(requests, RequestBatch) and requests.untouched:
        return requests.inputs
    first = requests[0]
    if len(requests) == 1:
        return dict(first.items())
    _check_names(requests)
    return {name: np.concatenate([request[name] for request in requests]) for name in first}


def _responses(requests: Sequence[Request], outputs: Any) -> Sequence[Any]:
    named = name_outputs(outputs)
    if isinstance(named, RunningRows):
        _check_rows(named, len(named.rows))
        return named.split(_rows(requests))
    if isinstance(requests, RequestBatch) and requests.untouched:
        if requests.batching:
            _check_rows(named, requests.total_rows)
        return BatchResult(named, requests)
    model = current_model.get()
    if len(requests) == 1 and (not requests[0] or (model is not None and not model.batching)):
        return [named]
    rows = _rows(requests)
    _check_rows(named, sum(rows))
    return list(split_rows(named, rows))


def _rows(requests: Sequence[Request]) -> list[int]:
    if isinstance(requests, RequestBatch) and requests.untouched:
        return requests.rows
    return [get_inference_request_batch_size(request) for request in requests]


def _check_names(requests: Sequence[Request]) -> None:
    expected = set(requests[0])
    for index, request in enumerate(requests):
        if set(request) != expected:
            raise PyTritonValidationError(
                "@batch: requests must have the same inputs to be one batch; "
                f"request 0 has {sorted(expected)}, request {index} has {sorted(request)}."
            )


def _check_rows(outputs: Mapping[str, Any], rows: int) -> None:
    expected = (rows,)
    for array in outputs.values():
        if not isinstance(array, np.ndarray) or array.shape[:1] != expected:
            raise ValueError(_explain_rows(outputs, rows))


def _explain_rows(outputs: Mapping[str, Any], rows: int) -> str:
    model = current_model.get()
    where = f'model "{model.model_name}": ' if model is not None else ""
    for name, array in outputs.items():
        if not isinstance(array, np.ndarray):
            return f'{where}output "{name}" is of type {type(array).__qualname__}; expected a numpy.ndarray.'
    wrong = ", ".join(
        f'"{name}" has shape {array.shape}' for name, array in outputs.items() if array.shape[:1] != (rows,)
    )
    return f"{where}the first dimension of every output must be the batch size {rows}, but {wrong}."
