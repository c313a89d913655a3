# SPDX-License-Identifier: Apache-2.0
"""Decorators as users of earlier versions write them, with wrapt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt

from pytriton.decorators import get_model_config

__all__ = ["by_position", "decorator", "double_inputs", "note"]

Decorator = Callable[[Callable[..., Any]], Any]


def decorator(wrapper: Callable[..., Any]) -> Decorator:
    """What wrapt makes of a wrapper, without what it says of types: that differs from version to version."""
    made: Any = wrapt.decorator
    return made(wrapper)  # type: ignore[no-any-return]


@decorator
def note(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Notes of which object the function is a method."""
    owner = wrapped if instance is None else instance
    if not hasattr(owner, "notes"):
        owner.notes = []
    owner.notes.append(instance)
    return wrapped(*args, **kwargs)


@decorator
def double_inputs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Doubles inputs that come by name."""
    assert args == ()
    return wrapped(**{name: 2 * array for name, array in kwargs.items()})


@decorator
def by_position(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Names outputs in the order in which the model declares them."""
    outputs = wrapped(*args, **kwargs)
    specs = get_model_config(wrapped, instance).outputs or ()
    return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}
