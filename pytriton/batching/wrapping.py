# SPDX-License-Identifier: Apache-2.0
"""Wrappers of the same kind as what they wrap: function, generator, coroutine or async generator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from types import FunctionType, MethodType
from typing import Any, NamedTuple, TypeAlias, cast

from pytriton.batching.context import adopted
from pytriton.batching.lasting import lasting
from pytriton.request import RequestBatch

__all__ = [
    "Call",
    "Enter",
    "Leave",
    "final_function",
    "invoke",
    "is_plain",
    "kind_of",
    "leave_any",
    "like",
    "takes_requests",
    "wrap",
]


class Call(NamedTuple):
    """How a wrapped function is called, and what `leave` is to know besides its outputs."""

    bound: Sequence[Any]
    """The object of a method, if it is one."""
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    subject: Any = None
    around: AbstractContextManager[None] = nullcontext()


Enter: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Call]
"""Makes the call of the function out of the arguments that the wrapper was called with."""
Leave: TypeAlias = Callable[[Any, Any], Any]
"""Makes a result out of the subject and what the function returned, or one step of what it yields."""
Kind: TypeAlias = Callable[[Any], bool]


def final_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The plain function that a call ends in: behind partials, bound methods and objects with `__call__`.

    A decorator made with wrapt says of itself that it is what it decorates; its type tells the truth.
    """
    while True:
        kind: type = type(function)
        if issubclass(kind, functools.partial):
            function = cast("functools.partial[Any]", function).func
        elif kind is MethodType:
            function = cast("MethodType", function).__func__
        elif inspect.isroutine(function) or inspect.isclass(function):
            return function
        else:
            function = type(function).__call__


def kind_of(function: Callable[..., Any]) -> Kind | None:
    """The test of `inspect` that a function which is not plain passes."""
    final = final_function(function)
    kinds = (inspect.isasyncgenfunction, inspect.iscoroutinefunction, inspect.isgeneratorfunction)
    return next((kind for kind in kinds if kind(final)), None)


def is_plain(function: Callable[..., Any]) -> bool:
    """Whether a function is neither a generator nor a coroutine nor both."""
    return kind_of(function) is None


def takes_requests(args: Sequence[Any]) -> bool:
    """Whether the last positional argument is a list of requests; else inputs come by name."""
    return bool(args) and isinstance(args[-1], (list, tuple, RequestBatch))


def wrap(function: Callable[..., Any], enter: Enter, leave: Leave | None = None) -> Callable[..., Any]:
    """Wrap a function so that `enter` sees its arguments and `leave` what it returns or yields."""
    kind = kind_of(function)
    if kind is None:
        return like(function, _wrap_function(function, enter, leave))
    leave = leave or _as_it_is
    if kind is inspect.isasyncgenfunction:
        return like(function, _wrap_async_generator(function, enter, leave))
    if kind is inspect.iscoroutinefunction:
        return like(function, _wrap_coroutine(function, enter, leave))
    return like(function, _wrap_generator(function, enter, leave))


def like(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Give a wrapper the name and the description of its function."""
    # The attributes of a callable object are its state, not a description of it.
    updated = ("__dict__",) if inspect.isroutine(function) else ()
    return functools.update_wrapper(wrapper, function, updated=updated)


def invoke(function: Callable[..., Any], call: Call) -> Any:
    """Call a function, as a method if it tells methods from functions: decorators made with wrapt do."""
    bound, args, kwargs, _, _ = call
    if bound and type(function) is not FunctionType and hasattr(type(function), "__get__"):
        owner, *bound = bound
        function = function.__get__(owner, type(owner))
    return function(*bound, *args, **kwargs)


def _as_it_is(_subject: Any, outputs: Any) -> Any:
    return outputs


def _wrap_function(function: Callable[..., Any], enter: Enter, leave: Leave | None) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with adopted(wrapper, args):
            call = enter(args, kwargs)
            if not isinstance(call.around, nullcontext):
                return lasting(call.around, lambda: _result(function, call, leave))
            return _result(function, call, leave)

    return wrapper


def _result(function: Callable[..., Any], call: Call, leave: Leave | None) -> Any:
    outputs = invoke(function, call)
    return outputs if leave is None else leave_any(call.subject, outputs, leave)


def _wrap_coroutine(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with adopted(wrapper, args):
            call = enter(args, kwargs)
            with call.around:
                return leave(call.subject, await invoke(function, call))

    return wrapper


# What a generator sets while it runs, its caller sees between two steps: so it stays with the caller's model.


def _wrap_generator(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with adopted(wrapper, args, among_others=False):
            call = enter(args, kwargs)
            with call.around:
                yield from _leave_each(call.subject, invoke(function, call), leave)

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with adopted(wrapper, args, among_others=False):
            call = enter(args, kwargs)
            with call.around:
                async with aclosing(invoke(function, call)) as steps:
                    async for outputs in steps:
                        yield leave(call.subject, outputs)

    return wrapper


def leave_any(subject: Any, outputs: Any, leave: Leave) -> Any:
    """What a wrapper gives back for what its function gave back.

    Functions may not look like what they are, such as a lambda that calls a generator function.
    """
    if isinstance(outputs, (dict, list, tuple)):
        return leave(subject, outputs)
    if isinstance(outputs, Generator):
        return _leave_each(subject, outputs, leave)
    if isinstance(outputs, AsyncGenerator):
        return _leave_each_async(subject, outputs, leave)
    if isinstance(outputs, Awaitable):
        return _leave_awaited(subject, outputs, leave)
    return leave(subject, outputs)


def _leave_each(subject: Any, steps: Generator[Any, Any, Any], leave: Leave) -> Iterator[Any]:
    with closing(steps):
        for outputs in steps:
            yield leave(subject, outputs)


async def _leave_each_async(
    subject: Any, steps: AsyncGenerator[Any, Any], leave: Leave
) -> AsyncIterator[Any]:
    async with aclosing(steps):
        async for outputs in steps:
            yield leave(subject, outputs)


async def _leave_awaited(subject: Any, outputs: Awaitable[Any], leave: Leave) -> Any:
    return leave(subject, await outputs)
