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
    "current_context",
    "current_model",
    "is_decoupled",
    "require_model",
]

CONTEXT_ATTRIBUTE: Final = "__triton_context__"
"""Where functions and objects carry a TritonContext that somebody has given them by hand."""

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


def adopted(wrapper: Callable[..., Any], args: tuple[Any, ...]) -> AbstractContextManager[None]:
    """Outside of an inference, the context that a decorated function or its object carries, if any does.

    That is how functions are tried out without a server.
    """
    if current_model.get() is not None:
        return _NOTHING
    called = wrapper
    context = wrapper.__dict__.get(CONTEXT_ATTRIBUTE)
    if context is None and args:
        context = getattr(args[0], CONTEXT_ATTRIBUTE, None)
        called = wrapper.__get__(args[0])
    return _NOTHING if context is None else _adopt(context, called)


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
