# SPDX-License-Identifier: Apache-2.0
"""How a class or a factory makes the function that is served."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["call_factory"]


def call_factory(
    factory: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], device: Any
) -> Any:
    """What a class or factory makes; it is told its device if it has a parameter for that."""
    options = dict(kwargs)
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of some classes that are not written in Python
        return factory(*args, **options)
    parameter = signature.parameters.get("device")
    if parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY:
        given = signature.bind_partial(*args, **options).arguments
        if "device" not in given and (device is not None or parameter.default is parameter.empty):
            options["device"] = device
    return factory(*args, **options)
