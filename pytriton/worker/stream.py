# SPDX-License-Identifier: Apache-2.0
"""One batch among several that a worker has in flight."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextvars import copy_context
from sys import getrefcount
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from pytriton.batching.current import find_records_with
from pytriton.request import Array, RequestBatch, RequestRecords
from pytriton.worker.arena import Arena, StreamArena
from pytriton.worker.channel import Block, Channel, Execute
from pytriton.worker.layout import ALL_REQUESTS
from pytriton.worker.views import BlockReader

if TYPE_CHECKING:
    import asyncio

__all__ = ["Stream", "cancel_step"]


class Stream:
    """A batch from its arrival to its final result."""

    def __init__(self, channel: Channel, work: Execute, reader: BlockReader, *, decoupled: bool) -> None:
        self.slot, offset, length = work
        self._exporter = channel.segment.export(offset, length)
        # Counted twice in the same way, since interpreters differ in what they count for one reference.
        self._alone = self._references()
        self.batch: RequestBatch
        self.batch, free, free_length = reader.read(channel.segment, self._exporter, offset)
        kind = StreamArena if decoupled else Arena
        self.arena: Arena = kind(channel, self.slot, Block(offset, length), Block(free, free_length))
        self.context = copy_context()
        self.context.run(find_records_with, self._find_records)
        self.steps: Generator[Any, Any, Any] | None = None
        """The generator whose steps the responses are, if it is one."""
        self.task: asyncio.Task[None] | None = None
        """What runs on the event loop, if anything does."""
        self.closes = False
        """Whether the task is one to be cancelled when nobody wants its results."""
        self.pauses = False
        """Whether the task only lets others go on, and looks for itself whether it is cancelled."""
        self.cancelled = False
        self.last: Block | None = None
        """Table of the final result."""
        self.begin_ns = monotonic_ns()
        self.end_ns = 0
        self._task_runs = False
        self._ended: set[int] = set()

    def is_over(self) -> bool:
        """Whether no request of the batch gets anything more."""
        ended = self._ended
        return bool(ended) and (len(ended) >= len(self.batch) or ALL_REQUESTS in ended)

    def sent(self, ended: frozenset[int]) -> None:
        """Note that a step is on its way, and which requests get nothing after it."""
        self.arena.sent()
        if ended:
            self._ended.update(ended)

    def note_cancelled(self) -> None:
        """Note which requests nobody wants answered any more."""
        self._ended.update(index for index in range(len(self.batch)) if self.batch.is_cancelled(index))

    def cancel_task(self) -> None:
        """Cancel what runs on the event loop."""
        self.cancelled = True
        if self._task_runs and self.task is not None and not self.pauses:
            self.task.cancel()

    def task_begins(self) -> None:
        """Note that the task has its first turn; one that was cancelled before would never have had it."""
        self._task_runs = True
        if self.cancelled and self.task is not None:
            self.task.get_loop().call_soon(self.task.cancel)

    def let_go(self) -> Array | None:
        """Drop everything; the memory of the batch, if the function keeps some of it."""
        del self.batch, self.context
        self.task = None
        kept = self._references() != self._alone
        exporter = self._exporter
        del self._exporter  # this object may be referred to for longer
        return exporter if kept else None

    def _find_records(self) -> RequestRecords | None:
        batch: RequestBatch | None = getattr(self, "batch", None)
        return None if batch is None else batch.records

    def _references(self) -> int:
        return getrefcount(self._exporter)


async def cancel_step(steps: AsyncGenerator[Any, Any]) -> None:
    """Cancel an async generator between two steps: it hears of it where it awaits, as it would at any time.

    One that awaits nothing comes to the end of the step.
    """
    import asyncio

    step = asyncio.ensure_future(_next(steps))
    await asyncio.sleep(0)  # a task that has not begun never would
    step.cancel()
    await asyncio.wait([step])
    if not step.cancelled():
        step.exception()  # nobody wants it any more


async def _next(steps: AsyncGenerator[Any, Any]) -> None:
    await anext(steps, None)
