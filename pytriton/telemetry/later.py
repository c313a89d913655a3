# SPDX-License-Identifier: Apache-2.0
"""Spans of functions that only begin when they are called: what they return does the work."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, closing
from typing import TYPE_CHECKING, Any, TypeAlias

from pytriton.telemetry.tracing import end_spans, ending

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["after"]

_Spans: TypeAlias = "Sequence[Span | None]"


def after(result: Any, spans: _Spans, as_current: Callable[[_Spans], AbstractContextManager[None]]) -> Any:
    """What a function has returned, such that the spans end with the work."""
    later: Any
    if isinstance(result, Generator):
        later = _each(result, spans)
    elif isinstance(result, AsyncGenerator):
        later = _each_async(result, spans)
    elif isinstance(result, Awaitable):
        later = _awaited(result, spans, as_current)
    else:
        end_spans(spans)
        return result
    # Nothing runs in one that is dropped before its first step.
    weakref.finalize(later, _end_forgotten, spans).atexit = False
    return later


def _each(steps: Generator[Any, Any, Any], spans: _Spans) -> Iterator[Any]:
    with ending(spans), closing(steps):
        yield from steps


async def _each_async(steps: AsyncGenerator[Any, Any], spans: _Spans) -> AsyncIterator[Any]:
    with ending(spans):
        async with aclosing(steps):
            async for step in steps:
                yield step


async def _awaited(
    result: Awaitable[Any], spans: _Spans, as_current: Callable[[_Spans], AbstractContextManager[None]]
) -> Any:
    with ending(spans), as_current(spans):
        return await result


def _end_forgotten(spans: _Spans) -> None:
    for span in spans:
        if span is not None and span.is_recording():
            span.end()
