# SPDX-License-Identifier: Apache-2.0
"""Wrappers that call their function once for each group, and put the results together again."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from contextlib import AsyncExitStack, ExitStack, aclosing, closing
from typing import Any, Final, NamedTuple, TypeAlias

from pytriton.batching.context import adopted
from pytriton.batching.wrapping import Call, invoke, kind_of, like

__all__ = ["ENDED", "Groups", "Split", "wrap_groups"]

ENDED: Final = object()
"""In the place of a step of a generator that has ended."""

Merge: TypeAlias = Callable[[Sequence[Any]], Any]


class Groups(NamedTuple):
    """The calls of the function, and what makes one result of theirs; None if one call is all there is."""

    calls: Sequence[Call]
    merge: Merge | None
    end_apart: bool = False
    """Whether streams may end one before the other; `merge` is then given ENDED in their place."""


Split: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Groups]
"""Makes the calls of the function out of the arguments that the wrapper was called with."""


def wrap_groups(function: Callable[..., Any], split: Split) -> Callable[..., Any]:
    """Wrap a function of whatever kind; groups run one after the other, and generators step by step."""
    kind = kind_of(function)
    if kind is inspect.isasyncgenfunction:
        return like(function, _wrap_async_generator(function, split))
    if kind is inspect.iscoroutinefunction:
        return like(function, _wrap_coroutine(function, split))
    if kind is inspect.isgeneratorfunction:
        return like(function, _wrap_generator(function, split))
    return like(function, _wrap_function(function, split))


def _wrap_function(function: Callable[..., Any], split: Split) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with adopted(wrapper, args):
            groups = split(args, kwargs)
            results = [invoke(function, call) for call in groups.calls]
            return results[0] if groups.merge is None else _merge_any(results, groups)

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], split: Split) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with adopted(wrapper, args):
            calls, merge, _ = split(args, kwargs)
            results = [await invoke(function, call) for call in calls]
            return results[0] if merge is None else merge(results)

    return wrapper


def _wrap_generator(function: Callable[..., Any], split: Split) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with adopted(wrapper, args):
            groups = split(args, kwargs)
            yield from _merge_each([invoke(function, call) for call in groups.calls], groups)

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], split: Split) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with adopted(wrapper, args):
            groups = split(args, kwargs)
            generators = [invoke(function, call) for call in groups.calls]
            async with aclosing(_merge_each_async(generators, groups)) as steps:
                async for outputs in steps:
                    yield outputs

    return wrapper


def _merge_any(results: Sequence[Any], groups: Groups) -> Any:
    # Functions may not look like what they are, such as a lambda that calls a generator function.
    if isinstance(results[0], Generator):
        return _merge_each(results, groups)
    if isinstance(results[0], AsyncGenerator):
        return _merge_each_async(results, groups)
    if isinstance(results[0], Awaitable):
        return _merge_awaited(results, groups)
    return _merged(results, groups)


async def _merge_awaited(results: Sequence[Awaitable[Any]], groups: Groups) -> Any:
    waiting = list(results)
    try:
        return _merged([await waiting.pop(0) for _ in results], groups)
    finally:
        for awaitable in waiting:
            if inspect.iscoroutine(awaitable):
                awaitable.close()


def _merge_each(generators: Sequence[Generator[Any, Any, Any]], groups: Groups) -> Iterator[Any]:
    with ExitStack() as stack:
        for generator in generators:
            stack.enter_context(closing(generator))
        while True:
            steps = [next(generator, ENDED) for generator in generators]
            if _are_at_end(steps, groups):
                return
            yield _merged(steps, groups)


async def _merge_each_async(
    generators: Sequence[AsyncGenerator[Any, Any]], groups: Groups
) -> AsyncGenerator[Any, None]:
    async with AsyncExitStack() as stack:
        for generator in generators:
            await stack.enter_async_context(aclosing(generator))
        while True:
            steps = [await anext(generator, ENDED) for generator in generators]
            if _are_at_end(steps, groups):
                return
            yield _merged(steps, groups)


def _merged(steps: Sequence[Any], groups: Groups) -> Any:
    return steps[0] if groups.merge is None else groups.merge(steps)


def _are_at_end(steps: Sequence[Any], groups: Groups) -> bool:
    ended = sum(step is ENDED for step in steps)
    if ended == len(steps):
        return True
    if ended and not groups.end_apart:
        raise ValueError(
            "The generators of groups must yield equally often, since each step answers all requests: "
            f"{ended} of {len(steps)} have ended before the others."
        )
    return False
