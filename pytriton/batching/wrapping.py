# SPDX-License-Identifier: Apache-2.0
"""Wrappers of the same kind as what they wrap: function, generator, coroutine or async generator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, TypeAlias

__all__ = ["Enter", "Leave", "final_function", "is_plain", "leave_any", "wrap"]

Enter: TypeAlias = Callable[[Any], Mapping[str, Any]]
"""Makes the keyword arguments of the function out of requests."""
Leave: TypeAlias = Callable[[Any, Any], Any]
"""Makes responses out of requests and what the function returned, or one step of what it yields."""


def final_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The plain function that a call ends in: behind partials, bound methods and objects with `__call__`."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isroutine(function) or inspect.isclass(function):
            return function
        else:
            function = type(function).__call__


def wrap(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    """Wrap a function of keyword arguments as one of requests, its last positional argument.

    The last, because a method's own object comes before it.
    """
    wrapper = _choose(final_function(function))(function, enter, leave)
    # The attributes of a callable object are its state, not a description of it.
    updated = ("__dict__",) if inspect.isroutine(function) else ()
    return functools.update_wrapper(wrapper, function, updated=updated)


def is_plain(function: Callable[..., Any]) -> bool:
    """Whether a function is neither a generator nor a coroutine nor both."""
    return _choose(function) is _wrap_function


def _choose(final: Callable[..., Any]) -> Callable[[Callable[..., Any], Enter, Leave], Callable[..., Any]]:
    if inspect.isasyncgenfunction(final):
        return _wrap_async_generator
    if inspect.iscoroutinefunction(final):
        return _wrap_coroutine
    if inspect.isgeneratorfunction(final):
        return _wrap_generator
    return _wrap_function


def _wrap_function(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        *bound, requests = args
        return leave_any(requests, function(*bound, **enter(requests), **kwargs), leave)

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        *bound, requests = args
        return leave(requests, await function(*bound, **enter(requests), **kwargs))

    return wrapper


def _wrap_generator(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Iterator[Any]:
        *bound, requests = args
        yield from _leave_each(requests, function(*bound, **enter(requests), **kwargs), leave)

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], enter: Enter, leave: Leave) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        *bound, requests = args
        async with aclosing(function(*bound, **enter(requests), **kwargs)) as steps:
            async for outputs in steps:
                yield leave(requests, outputs)

    return wrapper


def leave_any(requests: Any, outputs: Any, leave: Leave) -> Any:
    """What a wrapper gives back for what its function gave back.

    Functions may not look like what they are, such as a lambda that calls a generator function.
    """
    if isinstance(outputs, (dict, list, tuple)):
        return leave(requests, outputs)
    if isinstance(outputs, Generator):
        return _leave_each(requests, outputs, leave)
    if isinstance(outputs, AsyncGenerator):
        return _leave_each_async(requests, outputs, leave)
    if isinstance(outputs, Awaitable):
        return _leave_awaited(requests, outputs, leave)
    return leave(requests, outputs)


def _leave_each(requests: Any, steps: Generator[Any, Any, Any], leave: Leave) -> Iterator[Any]:
    with closing(steps):
        for outputs in steps:
            yield leave(requests, outputs)


async def _leave_each_async(
    requests: Any, steps: AsyncGenerator[Any, Any], leave: Leave
) -> AsyncIterator[Any]:
    async with aclosing(steps):
        async for outputs in steps:
            yield leave(requests, outputs)


async def _leave_awaited(requests: Any, outputs: Awaitable[Any], leave: Leave) -> Any:
    return leave(requests, await outputs)
