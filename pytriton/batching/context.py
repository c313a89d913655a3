# SPDX-License-Identifier: Apache-2.0
"""The model that the running function serves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from pytriton.exceptions import PyTritonValidationError

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = [
    "CONTEXT_ATTRIBUTE",
    "adopted",
    "carried",
    "carry",
    "current_context",
    "current_model",
    "is_decoupled",
    "require_model",
]

CONTEXT_ATTRIBUTE: Final = "__triton_context__"
"""Where functions and objects carry the TritonContext that bind(), or somebody by hand, has given them."""

current_model: ContextVar[TritonModelConfig | None] = ContextVar("pytriton_current_model", default=None)
current_context: ContextVar[Any] = ContextVar("pytriton_current_context", default=None)

_NOTHING: Final = contextlib.nullcontext()


def require_model() -> TritonModelConfig:
    """The current model; an error outside of an inference."""
    model = current_model.get()
    if model is None:
        raise PyTritonValidationError(
            "The function is not bound to a model here, so what is declared for it is not known. "
            'Call it through a model that Triton.bind() made; outputs can be named: {"OUTPUT_1": array}.'
        )
    return model


def is_decoupled() -> bool:
    """Whether the current model may give each request a number of responses of its own."""
    model = current_model.get()
    return model is not None and model.decoupled


def adopted(
    wrapper: Callable[..., Any], args: tuple[Any, ...], *, among_others: bool = True
) -> AbstractContextManager[None]:
    """The context that a decorated function or its object carries, where it says what is not known yet.

    That is how functions are tried out without a server, and how a function that serves a model calls one
    that serves another, if it may be `among_others`.
    """
    called = wrapper
    context = wrapper.__dict__.get(CONTEXT_ATTRIBUTE)
    if context is None and args:
        context = getattr(args[0], CONTEXT_ATTRIBUTE, None)
        called = wrapper.__get__(args[0])
    if context is None:
        return _NOTHING
    model = current_model.get()
    if model is not None:
        running = current_context.get() or context
        if not among_others or running.model_configs.get(called, model) is model:
            return _NOTHING
    return _adopt(context, called)


def carry(function: Any, context: Any) -> None:
    """Let a function, and what it decorates, carry a context; methods let their objects carry it."""
    while function is not None:
        for each in (function, _object_of(function)):
            # Some cannot have attributes, each with an exception of its own, and must do without.
            with contextlib.suppress(Exception):
                setattr(each, CONTEXT_ATTRIBUTE, context)
        function = getattr(function, "__wrapped__", None)


def _object_of(function: Any) -> Any:
    # Functions written in C have a `__self__` too: their module.
    return getattr(function, "__self__", None) if hasattr(function, "__func__") else None


def carried(function: Any) -> Any:
    """The context that a function carries, None if there is none."""
    while function is not None:
        for each in (function, _object_of(function)):
            context = getattr(each, CONTEXT_ATTRIBUTE, None)
            if context is not None:
                return context
        function = getattr(function, "__wrapped__", None)
    return None


@contextlib.contextmanager
def _adopt(context: Any, called: Callable[..., Any]) -> Iterator[None]:
    model = getattr(context, "model_configs", {}).get(called)
    tokens = current_context.set(context), current_model.set(model)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # an async generator that another task has closed
            current_context.reset(tokens[0])
            current_model.reset(tokens[1])
