# SPDX-License-Identifier: Apache-2.0
"""The `triton_context` decorator, and what it hands to a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from pytriton.batching.context import carried, carry, current_context, current_model, require_model
from pytriton.batching.whole import mark_whole, takes_whole_batch
from pytriton.batching.wrapping import Call, takes_requests, wrap
from pytriton.constants import TRITON_CONTEXT_FIELD_NAME
from pytriton.exceptions import PyTritonValidationError

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = [
    "ModelConfigDict",
    "TritonContext",
    "get_model_config",
    "get_triton_context",
    "serve_model",
    "share_context",
    "triton_context",
]

_Items: TypeAlias = "dict[tuple[int, ...], tuple[Callable[..., Any], TritonModelConfig]]"


class ModelConfigDict(MutableMapping[Callable[..., Any], "TritonModelConfig"]):
    """Models by the callable that serves them; a decorated function and what is under it are one callable."""

    def __init__(self, others: ModelConfigDict | None = None) -> None:
        """Begin empty, in front of others that are looked at after one's own."""
        self._items: _Items = {}
        self._others = others

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions take it along to other processes, where the others are not.
        return ModelConfigDict, ()

    def publish(self, models: Iterable[tuple[Callable[..., Any], TritonModelConfig]]) -> None:
        """Have these models instead; whoever reads meanwhile sees the old ones or the new ones."""
        self._items = {_identity(function): (function, model) for function, model in models}

    def __getitem__(self, infer_callable: Callable[..., Any]) -> TritonModelConfig:
        try:
            return self._all()[_identity(infer_callable)][1]
        except KeyError:
            raise KeyError(infer_callable) from None

    def __setitem__(self, infer_callable: Callable[..., Any], model: TritonModelConfig) -> None:
        # The callable is kept along with what it is recognised by: numbers of objects are used again.
        self._items[_identity(infer_callable)] = infer_callable, model

    def __delitem__(self, infer_callable: Callable[..., Any]) -> None:
        try:
            del self._items[_identity(infer_callable)]
        except KeyError:
            raise KeyError(infer_callable) from None

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter([infer_callable for infer_callable, _ in self._all().values()])

    def _all(self) -> _Items:
        return self._items if self._others is None else {**self._others._all(), **self._items}


@dataclass
class TritonContext:
    """What is known of the models that functions serve."""

    model_configs: ModelConfigDict = field(default_factory=ModelConfigDict)

    @property
    def model_config(self) -> TritonModelConfig:
        """The model that the running function serves."""
        return require_model()


def triton_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function with a `TritonContext` as the keyword argument `triton_context`."""

    def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        count = len(args) - 1 if takes_requests(args) else len(args)
        bound, rest = args[:count], args[count:]
        context = get_triton_context(function, bound[0] if bound else None)
        return Call(bound, rest, {**kwargs, TRITON_CONTEXT_FIELD_NAME: context})

    wrapper = wrap(function, enter)
    if takes_whole_batch(function):
        mark_whole(wrapper)
    return wrapper


def serve_model(model: TritonModelConfig, function: Callable[..., Any]) -> None:
    """Let the functions that this thread calls from now on know what they serve, and what is beside it."""
    shared = carried(function)
    context = TritonContext(ModelConfigDict(None if shared is None else shared.model_configs))
    context.model_configs[function] = model
    current_context.set(context)
    current_model.set(model)


def share_context(context: TritonContext, functions: Iterable[Callable[..., Any]]) -> None:
    """Let functions know of the models beside theirs; which those are is published in the context."""
    for function in functions:
        carry(function, context)


def get_triton_context(wrapped: Callable[..., Any], instance: Any) -> TritonContext:
    """The context of the running function; outside of an inference, the one that the callable carries."""
    context = current_context.get()
    if context is None and (model := current_model.get()) is not None:
        context = TritonContext()
        context.model_configs[_bound(wrapped, instance)] = model
    if context is None:
        context = carried(wrapped if instance is None else instance)
    if context is None:
        raise PyTritonValidationError(
            f"{wrapped!r} does not serve a model here, so there is no Triton context. "
            "Call it through a model that Triton.bind() made."
        )
    return context  # type: ignore[no-any-return]


def get_model_config(wrapped: Callable[..., Any], instance: Any) -> TritonModelConfig:
    """The model that a callable serves; while it runs, the one that it is run for."""
    model = current_model.get()
    if model is not None:
        return model
    try:
        return get_triton_context(wrapped, instance).model_configs[wrapped]
    except KeyError:
        raise PyTritonValidationError(f"{wrapped!r} does not serve a model.") from None


def _bound(function: Any, instance: Any) -> Callable[..., Any]:
    is_method = instance is not None and not inspect.ismethod(function) and hasattr(function, "__get__")
    return function.__get__(instance) if is_method else function  # type: ignore[no-any-return]


def _identity(infer_callable: Any) -> tuple[int, ...]:
    """What is the same for a callable, and for what decorators have made of it."""
    owners: list[int] = []
    while True:
        if inspect.ismethod(infer_callable):
            if infer_callable.__name__ == "__call__":
                infer_callable = infer_callable.__self__
                continue
            owners.append(id(infer_callable.__self__))
            infer_callable = infer_callable.__func__
        elif hasattr(infer_callable, "__wrapped__"):
            infer_callable = infer_callable.__wrapped__
        else:
            return (*owners, id(infer_callable))
