# SPDX-License-Identifier: Apache-2.0
"""Contexts around work that goes on after the call: what the call returns does it."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing, closing
from typing import Any

__all__ = ["lasting"]


def lasting(around: AbstractContextManager[Any], call: Callable[[], Any]) -> Any:
    """What a call returns; if that is a generator or is to be awaited, the context ends when it has ended."""
    with ExitStack() as stack:
        stack.enter_context(around)
        result: Any = call()
        if not isinstance(result, (Generator, AsyncGenerator, Awaitable)):
            return result
        rest = stack.pop_all()
    later: Any
    if isinstance(result, Generator):
        later = _each(result, rest)
    elif isinstance(result, AsyncGenerator):
        later = _each_async(result, rest)
    else:
        later = _awaited(result, rest)
    # Nothing runs in one that is dropped before its first step.
    weakref.finalize(later, rest.close).atexit = False
    return later


def _each(steps: Generator[Any, Any, Any], around: ExitStack) -> Iterator[Any]:
    with around, closing(steps):
        yield from steps


async def _each_async(steps: AsyncGenerator[Any, Any], around: ExitStack) -> AsyncIterator[Any]:
    with around:
        async with aclosing(steps):
            async for step in steps:
                yield step


async def _awaited(result: Awaitable[Any], around: ExitStack) -> Any:
    with around:
        return await result
