# SPDX-License-Identifier: Apache-2.0
"""Batches that a worker has in flight side by side: streams of responses, and coroutines.

Generators take turns, a step each. Coroutines and async generators run on the worker's event loop, which
turns whenever no generator has its turn.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator
from contextlib import aclosing
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from pytriton.exceptions import ErrorCode, PyTritonUnrecoverableError
from pytriton.worker.activity import Activity
from pytriton.worker.callables import Caller, only, only_async
from pytriton.worker.channel import Block, Cancelled, Channel, ChannelClosed, Execute, ProtocolError
from pytriton.worker.failures import clear_frames, code_and_text, describe
from pytriton.worker.heartbeat import Heartbeat
from pytriton.worker.listener import Listener
from pytriton.worker.results import ResultWriter
from pytriton.worker.stream import Stream, cancel_step
from pytriton.worker.views import BlockReader

if TYPE_CHECKING:
    import asyncio

__all__ = ["StreamServer"]

LOGGER = logging.getLogger(__name__)

_END: Final = object()
_NOTHING: Final = Block(0, 0)
_ABANDON_TIMEOUT_S: Final = 5.0
# Asking for news costs as much as a short step. It is done that often at least; whoever waits for one of
# them, or for a generator to be closed, does not notice.
_LOOK_AFTER_NS: Final = 100_000
_TURN_AFTER_NS: Final = 1_000_000


class StreamServer:
    """Serves the batches of one connection, as many at a time as the server sends."""

    def __init__(
        self,
        channel: Channel,
        caller: Caller,
        reader: BlockReader,
        writer: ResultWriter,
        *,
        decoupled: bool,
        cancel_coroutines: bool,
        activity: Activity | None = None,
    ) -> None:
        self._channel = channel
        self._caller = caller
        self._reader = reader
        self._writer = writer
        self._decoupled = decoupled
        self._cancel_coroutines = cancel_coroutines
        self._activity = activity
        self._streams: dict[int, Stream] = {}
        self._turns: list[Stream] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble: BaseException | None = None
        self._heartbeat: Heartbeat | None = None
        self._listener: Listener | None = None
        self._looked_ns = 0
        self._turn_due_ns = 0
        self._loop_has_turned = False
        self.served = 0
        """Batches that were begun."""

    def serve(self) -> None:
        """Serve until the connection ends, or the function asks for the end."""
        try:
            while True:
                self._note_turn(busy=False)
                self._receive()
                for stream in self._turns[:]:
                    self._note_turn(busy=True)
                    self._take_turn(stream)
                if self._tasks:
                    self._run_tasks()
                if self._trouble is not None:
                    raise self._trouble
        finally:
            self._abandon()

    @property
    def _idle(self) -> bool:
        return not self._turns and not self._tasks

    def _receive(self) -> None:
        if self._turns and not self._tasks:
            now = monotonic_ns()
            if now - self._looked_ns < _LOOK_AFTER_NS:
                return
            self._looked_ns = now
        has_loop = self._caller.has_loop
        if has_loop and self._idle:
            self._listen().turn()  # what tasks of the function's have in hand goes on
        while (event := self._channel.next_event(wait=self._idle and not has_loop)) is not None:
            if isinstance(event, Cancelled):
                self._cancel(event.slot)
            else:
                self._begin(event)

    def _note_turn(self, *, busy: bool) -> None:
        if self._activity is not None:
            if busy:
                self._activity.begin()
            else:
                self._activity.end()

    def _begin(self, work: Execute) -> None:
        self._note_turn(busy=True)
        self.served += 1
        stream = Stream(self._channel, work, self._reader, decoupled=self._decoupled)
        self._streams[stream.slot] = stream
        try:
            result = stream.context.run(self._caller.begin, stream.batch)
            if isinstance(result, Generator) and not self._decoupled:
                result = stream.context.run(only, result)
        except BaseException as error:
            self._fail(stream, error)
            return
        if isinstance(result, Generator):
            stream.steps = result
            self._turns.append(stream)
        elif isinstance(result, AsyncGenerator) and self._decoupled:
            stream.closes = True
            self._start_task(stream, self._iterate(stream, result))
        elif isinstance(result, AsyncGenerator):
            self._start_task(stream, self._await(stream, only_async(result)))
        elif isinstance(result, Awaitable):
            self._start_task(stream, self._await(stream, result))
        else:
            self._place_last(stream, result)
            del result  # the slot is in use as long as anything refers to its arrays
            self._finish(stream)

    def _take_turn(self, stream: Stream) -> None:
        steps, stream.begin_ns = stream.steps, monotonic_ns()
        try:
            result = stream.context.run(next, steps, _END)  # type: ignore[arg-type]
        except BaseException as error:
            del steps
            self._fail(stream, error)
            return
        if result is not _END:
            self._send(stream, result)
            if not stream.is_over():
                return
        del steps, result
        self._close(stream)
        self._finish(stream)

    def _send(self, stream: Stream, result: Any) -> None:
        end_ns = monotonic_ns()
        step = self._writer.write_step(stream.arena, stream.batch, result)
        self._channel.send_step(stream.slot, step.table, stream.begin_ns, end_ns)
        stream.sent(step.ended)

    def _place_last(self, stream: Stream, result: Any) -> None:
        stream.end_ns = monotonic_ns()
        stream.last = self._writer.write(stream.arena, stream.batch, result)

    def _fail(self, stream: Stream, error: BaseException) -> None:
        stream.end_ns = monotonic_ns()
        # In its context, so that what is logged is known to concern its requests.
        stream.last = stream.context.run(self._writer.fail, stream.arena, *code_and_text(error))
        self._finish(stream)
        if isinstance(error, PyTritonUnrecoverableError):
            raise error

    def _finish(self, stream: Stream) -> None:
        """Say that nothing follows."""
        if stream in self._turns:
            self._turns.remove(stream)
        self._streams.pop(stream.slot, None)
        table = stream.last or _NOTHING
        end_ns = stream.end_ns or monotonic_ns()
        self._channel.send_result(stream.slot, table, stream.begin_ns, end_ns, stream.let_go())

    def _cancel(self, slot: int) -> None:
        stream = self._streams.get(slot)
        if stream is None or stream.cancelled:
            return
        stream.note_cancelled()
        if not stream.is_over():
            return
        if stream.steps is not None:
            stream.cancelled = True
            self._close(stream)
            self._finish(stream)
        elif stream.task is not None and (stream.closes or self._cancel_coroutines):
            stream.cancel_task()

    def _close(self, stream: Stream) -> None:
        """Close a generator, which may do what it likes in its `finally`."""
        steps, stream.steps = stream.steps, None
        if steps is None:
            return
        try:
            stream.context.run(steps.close)
        except BaseException as error:
            LOGGER.warning("A generator raised an exception when it was closed: %s", describe(error))

    # --- on the event loop ---

    def _listen(self) -> Listener:
        if self._listener is None:
            self._listener = Listener(self._caller.event_loop(), self._channel)
        return self._listener

    def _start_task(self, stream: Stream, work: Coroutine[Any, Any, None]) -> None:
        loop = self._caller.event_loop()
        stream.task = task = stream.context.run(loop.create_task, self._drive(stream, work))
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)

    async def _iterate(self, stream: Stream, steps: AsyncGenerator[Any, Any]) -> None:
        async with aclosing(steps):
            async for result in steps:
                self._send(stream, result)
                if stream.is_over():
                    break
                if monotonic_ns() > self._turn_due_ns and await self._is_cancelled_meanwhile(stream):
                    await cancel_step(steps)
                    break
                stream.begin_ns = monotonic_ns()

    async def _is_cancelled_meanwhile(self, stream: Stream) -> bool:
        """Let the loop turn: steps that await nothing would keep all others waiting, and not be cancelled."""
        import asyncio

        stream.pauses = True
        for _ in range(0 if self._loop_has_turned else 2):  # the second is for what the first finds to be due
            await asyncio.sleep(0)
        stream.pauses = False
        self._loop_has_turned = False
        self._caller.event_loop().call_soon(self._note_loop_turn)
        self._turn_due_ns = monotonic_ns() + _TURN_AFTER_NS
        return stream.cancelled

    def _note_loop_turn(self) -> None:
        self._loop_has_turned = True

    async def _await(self, stream: Stream, awaitable: Awaitable[Any]) -> None:
        self._place_last(stream, await awaitable)

    async def _drive(self, stream: Stream, work: Coroutine[Any, Any, None]) -> None:
        # No exception leaves through the loop: SystemExit and its like would end it in the middle of a turn.
        try:
            try:
                stream.task_begins()
                await work
            except (ChannelClosed, ProtocolError):
                raise
            except BaseException as error:
                if not stream.cancelled:
                    self._fail(stream, error)
                    return
                clear_frames(error)
                if not self._decoupled:
                    text = "the request was cancelled"
                    stream.last = self._writer.fail(stream.arena, ErrorCode.CANCELLED, text)
            self._finish(stream)
        except BaseException as trouble:
            self._trouble = trouble

    def _forget_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._listener is not None and (not self._tasks or self._trouble is not None):
            self._listener.stop()

    def _run_tasks(self) -> None:
        """Let the loop turn until there is something else to do; once, if generators have their turn."""
        loop, listener = self._caller.event_loop(), self._listen()
        if self._turns:
            loop.call_soon(listener.stop)
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(self._writer.model_name, loop, self._activity)
        self._heartbeat.start()
        listener.turn()
        self._heartbeat.stop()

    def _abandon(self) -> None:
        """End what is still in flight: nobody is left to hear of it."""
        for stream in list(self._streams.values()):
            stream.cancel_task()
            self._close(stream)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._tasks:
            self._await_tasks(self._tasks.copy())

    def _await_tasks(self, tasks: set[asyncio.Task[None]]) -> None:
        import asyncio

        _, pending = self._caller.run(asyncio.wait(tasks, timeout=_ABANDON_TIMEOUT_S))
        if pending:
            LOGGER.warning("%d coroutines have not ended when they were cancelled.", len(pending))
