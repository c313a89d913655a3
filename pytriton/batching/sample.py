# SPDX-License-Identifier: Apache-2.0
"""The `sample` decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytriton.batching.outputs import name_outputs
from pytriton.batching.wrapping import wrap
from pytriton.request import Request

__all__ = ["sample"]


def sample(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function with the inputs of the first request as keyword arguments: for models without batching.

    It returns a dict of arrays, or a list or tuple of them in the order of the declared outputs.
    """
    return wrap(function, _inputs, _responses)


def _inputs(requests: Sequence[Request]) -> Mapping[str, Any]:
    # Keyword arguments need no more of a mapping than a Request has.
    first: Any = requests[0]
    return first  # type: ignore[no-any-return]


def _responses(requests: Sequence[Request], outputs: Any) -> list[dict[str, Any]]:
    return [name_outputs(outputs)]
