# SPDX-License-Identifier: Apache-2.0
"""The same function as every kind of function, and what comes out of a call of any kind."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Final

__all__ = ["KINDS", "Function", "outcomes"]

Function = Callable[..., Any]


def _plain(function: Function) -> Function:
    return function


def _coroutine(function: Function) -> Function:
    @functools.wraps(function)
    async def later(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return later


def _generator(function: Function) -> Function:
    @functools.wraps(function)
    def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield function(*args, **kwargs)
        yield function(*args, **kwargs)

    return steps


def _async_generator(function: Function) -> Function:
    @functools.wraps(function)
    async def steps(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        yield function(*args, **kwargs)
        await asyncio.sleep(0)
        yield function(*args, **kwargs)

    return steps


def _hidden(kind: Callable[[Function], Function]) -> Callable[[Function], Function]:
    def hide(function: Function) -> Function:
        inner = kind(function)
        return lambda *args, **kwargs: inner(*args, **kwargs)

    return hide


KINDS: Final[dict[str, Callable[[Function], Function]]] = {
    "function": _plain,
    "partial": functools.partial,
    "coroutine": _coroutine,
    "generator": _generator,
    "async generator": _async_generator,
    "hidden coroutine": _hidden(_coroutine),
    "hidden generator": _hidden(_generator),
    "hidden async generator": _hidden(_async_generator),
}


def outcomes(result: Any) -> list[Any]:
    """The one result of a call, or all that it yields."""
    if isinstance(result, Generator):
        return list(result)
    if isinstance(result, AsyncGenerator):
        return asyncio.run(_collect(result))
    if isinstance(result, Awaitable):
        return [asyncio.run(_await(result))]
    return [result]


async def _collect(steps: AsyncGenerator[Any, Any]) -> list[Any]:
    return [step async for step in steps]


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
