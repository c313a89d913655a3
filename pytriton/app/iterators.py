# SPDX-License-Identifier: Apache-2.0
"""Whatever a streaming function returned, as something that is closed in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

__all__ = ["as_iterator", "iterate_async"]


@contextmanager
def as_iterator(given: Any) -> Iterator[Iterator[Any]]:
    """An iterator over anything that can be iterated; closed with the block if it can be."""
    steps = iter(given)
    try:
        yield steps
    finally:
        if (close := getattr(steps, "close", None)) is not None:
            close()


@asynccontextmanager
async def iterate_async(given: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """The same of an async iterable, or of a coroutine that returns one."""
    if isinstance(given, Awaitable):
        given = await given
    steps = aiter(given)
    try:
        yield steps
    finally:
        if (close := getattr(steps, "aclose", None)) is not None:
            await close()
