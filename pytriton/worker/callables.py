# SPDX-License-Identifier: Apache-2.0
"""One way to call every kind of inference function.

What a call gives back tells the kind, so functions are welcome that do not look like what they are: partials
of coroutine functions, or a lambda that makes a generator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final

from pytriton.batching.batch import BatchResult
from pytriton.batching.whole import takes_whole_batch, without_wrapper
from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import RequestBatch
from pytriton.worker.failures import STRAY, report_stray

if TYPE_CHECKING:
    import asyncio

__all__ = ["Caller", "only", "only_async"]

_NOTHING: Final = object()


class Caller:
    """Calls one function, batch by batch, on the thread that made it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._whole = takes_whole_batch(function)
        self._direct = without_wrapper(function)
        self.direct = None if self._direct is None else self._direct.function
        """The function as one of whole arrays, if that is all there is to a call."""
        self.takes_parameters = self._direct is not None and self._direct.takes_parameters
        """Whether there is more to a call where requests have parameters."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def call(self, batch: RequestBatch) -> Any:
        """The one result of a batch."""
        return self._only(self._function(batch if self._whole else list(batch)))

    def begin(self, batch: RequestBatch) -> Any:
        """What the function returns at first: a result, or something that gives some."""
        return self._function(batch if self._whole else list(batch))

    def each(self, batch: RequestBatch) -> Iterator[Any]:
        """Every result of a batch, of a model that may give any number."""
        result = self.begin(batch)
        if isinstance(result, Generator):
            with closing(result):
                yield from result
        elif isinstance(result, AsyncGenerator):
            try:
                while (step := self.run(anext(result, _NOTHING))) is not _NOTHING:
                    yield step
            finally:
                self.run(result.aclose())
        else:
            yield self.run(result) if isinstance(result, Awaitable) else result

    def finish(self, batch: RequestBatch, outputs: Any) -> Any:
        """The one result of a batch, out of what `direct` returned for its inputs."""
        assert self._direct is not None
        return self._only(self._direct.finish(batch, outputs))

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of coroutines, which stays: clients and sessions that they keep belong to it."""
        if self._loop is None:
            import asyncio  # a third of the time that importing the workers takes

            self._loop = asyncio.new_event_loop()
        return self._loop

    @property
    def has_loop(self) -> bool:
        """Whether coroutines have run: they may have left tasks behind, which go on between batches."""
        return self._loop is not None

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Let the loop turn until an awaitable is done; what comes out of other tasks ends nothing."""
        loop = self.event_loop()
        task = loop.create_task(_outcome(awaitable))
        while True:
            try:
                value, error = loop.run_until_complete(task)
                break
            except STRAY as stray:
                report_stray(stray)
        if error is not None:
            try:
                raise error
            finally:
                del error  # it refers to this frame, which would keep the arrays of the batch
        return value

    def check_loop(self) -> None:
        """Raise if the loop cannot turn any more: what coroutines and their clients have in it is lost."""
        if self._loop is None:
            return
        try:
            self._loop.run_until_complete(_outcome(_nothing()))
        except Exception as error:
            self._loop = None  # it cannot be closed either
            raise PyTritonRuntimeError(
                f"The event loop of the function does not turn any more: {error}. Has the function closed "
                "descriptors that are not its own?"
            ) from error

    def close(self) -> None:
        """End what coroutines have left behind."""
        loop = self._loop
        if loop is None:
            return
        try:
            self.run(_cancel_tasks())
            self.run(loop.shutdown_asyncgens())
        finally:
            self._loop = None
            loop.close()

    def _only(self, result: Any) -> Any:
        if isinstance(result, (BatchResult, list)):
            return result
        if isinstance(result, Generator):
            return only(result)
        if isinstance(result, AsyncGenerator):
            return self.run(only_async(result))
        if isinstance(result, Awaitable):
            return self.run(result)
        return result


async def _outcome(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    # Exceptions do not leave through the loop: SystemExit and its like would end it in the middle of a turn.
    try:
        return await awaitable, None
    except BaseException as error:
        return None, error


async def _nothing() -> None:
    pass


async def _cancel_tasks() -> None:
    import asyncio

    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def only(steps: Generator[Any, Any, Any]) -> Any:
    """The one thing that a generator yields."""
    with closing(steps):
        result = next(steps, _NOTHING)
        if result is _NOTHING:
            raise ValueError(_count_error("nothing"))
        if next(steps, _NOTHING) is not _NOTHING:
            raise ValueError(_count_error("more than once"))
    return result


async def only_async(steps: AsyncGenerator[Any, Any]) -> Any:
    """The one thing that an async generator yields."""
    async with aclosing(steps):
        result = await anext(steps, _NOTHING)
        if result is _NOTHING:
            raise ValueError(_count_error("nothing"))
        if await anext(steps, _NOTHING) is not _NOTHING:
            raise ValueError(_count_error("more than once"))
    return result


def _count_error(what: str) -> str:
    return (
        f"The generator yielded {what}, but without ModelConfig(decoupled=True) a model gives exactly one "
        "response: yield the list of responses once."
    )
