# SPDX-License-Identifier: Apache-2.0
"""The `sample` decorator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytriton.batching.outputs import name_outputs
from pytriton.batching.wrapping import Call, wrap
from pytriton.request import Request

__all__ = ["sample"]


def sample(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function with the inputs of the first request as keyword arguments: for models without batching.

    It returns a dict of arrays, or a list or tuple of them in the order of the declared outputs.
    """
    return wrap(function, _enter, _responses)


def _enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    *bound, requests = args
    return Call(bound, (), {**kwargs, **requests[0]}, requests)


def _responses(requests: Sequence[Request], outputs: Any) -> list[dict[str, Any]]:
    return [name_outputs(outputs)]
