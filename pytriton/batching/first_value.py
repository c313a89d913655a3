# SPDX-License-Identifier: Apache-2.0
"""The `first_value` decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pytriton.batching.context import CONTEXT_ATTRIBUTE, require_model
from pytriton.batching.wrapping import Call, takes_requests, wrap
from pytriton.exceptions import PyTritonBadParameterError, PyTritonRuntimeError
from pytriton.request import Request

__all__ = ["first_value"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def first_value(*keys: str, squeeze_single_values: bool = True, strict: bool = True) -> Decorator:
    """Call a function with the first row of some inputs in place of all rows: under @batch, or above nothing.

    Args:
        *keys: Names of the inputs; one that a request lacks is left out.
        squeeze_single_values: Whether a row of one value becomes a scalar.
        strict: Whether rows that differ are an error.
    """
    if CONTEXT_ATTRIBUTE in keys:
        raise PyTritonBadParameterError(
            f'"{CONTEXT_ATTRIBUTE}" is no input; such names are not allowed as keys for @first_value wrapper.'
        )

    def first_values(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: _first(name, values, squeeze_single_values, strict) if name in keys else values
            for name, values in inputs.items()
        }

    def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        model = require_model()
        if not model.batching:
            raise PyTritonRuntimeError(
                "The @first_value decorator can only be used with models that support batching. "
                f'Model "{model.model_name}" has no rows of which one could be the first: '
                "remove the decorator, or set ModelConfig(batching=True)."
            )
        if not takes_requests(args):
            return Call(args, (), first_values(kwargs))
        *bound, requests = args
        return Call(bound, ([_with_data(request, first_values(request)) for request in requests],), kwargs)

    return lambda function: wrap(function, enter)


def _with_data(request: Any, data: dict[str, Any]) -> Any:
    return replace(request, data=data) if isinstance(request, Request) else data


def _first(name: str, values: Any, squeeze: bool, strict: bool) -> Any:
    first = values[0]
    if strict and not _are_equal(values):
        raise PyTritonRuntimeError(
            f"The values on the {name!r} input are not equal: {values!r}. "
            "Put @group_by_values above it, or allow it with strict=False."
        )
    if squeeze and isinstance(first, np.ndarray) and first.size == 1:
        return first.reshape(())[()]
    return first


def _are_equal(values: Any) -> bool:
    first = values[:1]
    # What is not equal to itself, is not a number: such rows are equal too.
    return bool(np.all((values == first) | ((values != values) & (first != first))))
