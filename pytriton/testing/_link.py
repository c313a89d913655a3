# SPDX-License-Identifier: Apache-2.0
"""The server's end of one worker, in the worker's own process: batches go out, results come in."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from pytriton.exceptions import ErrorCode
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.testing._block import BlockWriter
from pytriton.testing._job import Job
from pytriton.testing._memory import DEFAULT_BYTES, Memory
from pytriton.testing._result import Result, read_result
from pytriton.worker import layout
from pytriton.worker.channel import Block, Channel, shut
from pytriton.worker.connector import Connector, _Socket
from pytriton.worker.layout import BLOCK_HEADER, MESSAGE, REQUEST_RECORD
from pytriton.worker.loop import Worker, WorkerSpec

__all__ = ["Link"]

_FLAGS_OFFSET: Final = REQUEST_RECORD.offset("flags")
_TAKEN_OFFSET: Final = BLOCK_HEADER.offset("results_taken")

_SETTING: Final = "ModelConfig(worker_shared_memory_bytes=...)"


class _Batch:
    """Requests that run together."""

    def __init__(self, jobs: Sequence[Job], base: int) -> None:
        self.jobs = jobs
        self.base = base
        self.results = 0
        self.rows: list[slice] = []
        start = 0
        for job in jobs:
            self.rows.append(slice(start, start + job.request.rows))
            start += job.request.rows


class _Connection:
    """What there is until the worker connects anew."""

    def __init__(self, ours: socket.socket, memory_bytes: int | None) -> None:
        self.socket = ours
        self.memory = Memory(memory_bytes or DEFAULT_BYTES)
        self.batches: dict[int, _Batch] = {}

    def send(self, kind: int, slot: int, offset: int = 0, length: int = 0) -> None:
        """Send a message; a worker that has gone is noticed otherwise."""
        with contextlib.suppress(OSError):
            self.socket.send(MESSAGE.pack(kind, 0, slot, offset, length, 0, 0))

    def end(self) -> None:
        """Receive no more than what is on its way, and tell the worker."""
        with contextlib.suppress(OSError):
            # The end of a datagram socket is nothing that an event loop could wait for.
            self.socket.send(b"", socket.MSG_DONTWAIT)
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)


class Link:
    """One worker, and the batches that it has; `lock` guards all that is not the worker's own."""

    def __init__(
        self,
        spec: WorkerSpec,
        function: Callable[..., Any],
        index: int,
        lock: threading.RLock,
        on_free: Callable[[], object],
    ) -> None:
        self._model: TritonModelConfig = spec.model
        self._capacity = spec.batches_in_flight
        self._lock = lock
        self._on_free = on_free
        self._inputs = [each.name for each in spec.model.inputs or ()]
        self._outputs = [each.name for each in spec.model.outputs or ()]
        self._connection: _Connection | None = None
        self._receiver: threading.Thread | None = None
        self._slots = 0
        self.failure: BaseException | None = None
        self._connector = _LocalConnector(self._open, self._close)
        self.worker = _LocalWorker(spec, function, index, self._note_failure, self._connector)

    @property
    def has_ended(self) -> bool:
        """Whether the worker takes no batch any more."""
        return self._connector.stopped

    @property
    def has_room(self) -> bool:
        """Whether it takes one more batch."""
        connection = self._connection
        return connection is not None and len(connection.batches) < self._capacity

    def execute(self, jobs: Sequence[Job]) -> None:
        """Send a batch."""
        connection = self._connection
        assert connection is not None
        writer = BlockWriter([job.request for job in jobs], self._inputs)
        slot = self._slots
        block = connection.memory.take(slot, writer.length)
        if block is None:
            need = connection.memory.need(slot, writer.length)
            code, why = _refusal(len(jobs), need, connection.memory.size)
            self._fail(jobs, why, code)
            return
        self._slots += 1
        writer.write(connection.memory.bytes, block.offset)
        connection.batches[slot] = _Batch(jobs, block.offset)
        connection.send(layout.EXECUTE, slot, block.offset, block.length)

    def cancel(self, job: Job) -> None:
        """Tell the worker that nobody waits for a request."""
        connection = self._connection
        for slot, batch in connection.batches.items() if connection is not None else ():
            if connection is not None and job in batch.jobs:
                record = batch.base + BLOCK_HEADER.size + batch.jobs.index(job) * REQUEST_RECORD.size
                cancelled = layout.REQUEST_CANCELLED
                struct.pack_into("=I", connection.memory.bytes, record + _FLAGS_OFFSET, cancelled)
                connection.send(layout.CANCELLED, slot)

    def stop(self) -> None:
        """Let the worker end as soon as the function returns."""
        self.worker.shutdown()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of its threads; false if the function has not returned in time."""
        thread = self.worker.thread
        if thread.ident is not None:
            thread.join(timeout_s)
        if self._receiver is not None:
            self._receiver.join(timeout_s)
        if thread.is_alive():
            return False
        self._connector.close()
        return True

    # --- in the worker's thread, the last one in any ---

    def _open(self) -> tuple[Channel, socket.socket]:
        """A new connection."""
        with self._lock:
            self._close()
            ours, theirs = _socket_pair()
            self._connection = connection = _Connection(ours, self._model.worker_shared_memory_bytes)
            name = f"pytriton-test-{self._model.model_name}"
            self._receiver = threading.Thread(
                target=self._receive, args=(connection,), name=name, daemon=True
            )
            self._receiver.start()
            self._on_free()
            return Channel(theirs, connection.memory.segment), theirs

    def _note_failure(self, error: BaseException) -> None:
        self.failure = error

    def _close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.end()
            self._on_free()

    # --- in the thread that receives ---

    def _receive(self, connection: _Connection) -> None:
        with contextlib.closing(connection.socket) as source:
            try:
                while packet := source.recv(MESSAGE.size):
                    with self._lock:
                        self._handle(connection, *MESSAGE.unpack(packet))
            except OSError:
                pass
        with self._lock:
            if self._connection is connection:
                self._connection = None
            for batch in connection.batches.values():
                self._fail(batch.jobs, "the worker has ended")
            self._on_free()

    def _fail(self, jobs: Sequence[Job], why: str, code: ErrorCode = ErrorCode.UNAVAILABLE) -> None:
        for job in jobs:
            job.fail(code, f'model "{self._model.model_name}": {why}')

    def _handle(
        self,
        connection: _Connection,
        kind: int,
        flags: int,
        slot: int,
        offset: int,
        length: int,
        *_times: int,
    ) -> None:
        memory = connection.memory
        if kind == layout.RESERVE:
            block = memory.take(slot, length)
            if block is None:
                connection.send(layout.REFUSED, slot, memory.need(slot, length), memory.size)
            else:
                connection.send(layout.RESERVED, slot, *block)
        elif kind == layout.SYNC:
            connection.send(layout.SYNCED, slot)
        elif kind == layout.RELEASE:
            memory.release(slot)
        elif kind == layout.RESULT:
            self._take_result(connection, slot, Block(offset, length), final=bool(flags & layout.FINAL))
            if flags & layout.RELEASED:
                memory.release(slot)

    def _take_result(self, connection: _Connection, slot: int, table: Block, *, final: bool) -> None:
        batch, memory = connection.batches[slot], connection.memory.bytes
        result = read_result(memory, table)
        for index, job in enumerate(batch.jobs):
            if table.length > 0:
                self._answer(batch, index, job, result)
            if final:
                job.end()
        batch.results += 1
        struct.pack_into("=Q", memory, batch.base + _TAKEN_OFFSET, batch.results)
        if final:
            del connection.batches[slot]
            self._on_free()

    def _answer(self, batch: _Batch, index: int, job: Job, result: Result) -> None:
        error = result.error(index)
        if error is not None:
            job.fail(*error)
            return
        flags, _ = result.notes.get(index, (0, {}))
        if not flags & layout.RESPONSE_NONE:
            given = result.outputs(index, batch.rows[index], batching=self._model.batching)
            job.answer({self._outputs[each]: given[each] for each in job.request.outputs if each in given})
        if flags & layout.RESPONSE_LAST:
            job.end()


class _LocalConnector(Connector):
    """Connects to what stands for the server in this process."""

    def __init__(
        self, make_channel: Callable[[], tuple[Channel, socket.socket]], on_shutdown: Callable[[], object]
    ) -> None:
        super().__init__("")
        self._make_channel = make_channel
        self._on_shutdown = on_shutdown
        self._connection: socket.socket | None = None

    def open(self) -> Channel:
        """A new channel."""
        self.check()
        channel, self._connection = self._make_channel()
        self.check()  # shutdown() may not have found the connection
        return channel

    def shutdown(self) -> None:
        """End the channel and make no other, from any thread."""
        self._stopped.set()
        self._on_shutdown()
        if self._connection is not None:
            shut(self._connection)

    def close(self) -> None:
        """Give the descriptor back, when the worker has ended."""
        if self._connection is not None:
            self._connection.close()


class _LocalWorker(Worker):
    """The worker of every model, but for how it comes to its channels."""

    def __init__(
        self,
        spec: WorkerSpec,
        function: Callable[..., Any],
        index: int,
        on_failure: Callable[[BaseException], object],
        connector: _LocalConnector,
    ) -> None:
        super().__init__(spec, function, index, on_failure)
        self._connector = connector


def _refusal(requests: int, need: int, limit: int) -> tuple[ErrorCode, str]:
    """What the server says of a batch that its memory has no room for."""
    if need > limit and requests == 1:
        return ErrorCode.INTERNAL, (
            f"the request needs {need} bytes of shared memory, and the limit is {limit} bytes: it cannot be "
            f"served; raise {_SETTING}, or send smaller requests"
        )
    why = (
        f"its {requests} requests together need more than the limit of {limit} bytes; send fewer or smaller "
        "requests at a time, lower ModelConfig(max_batch_size=...)"
        if need > limit
        else "the function still keeps arrays of others; keep copies of the arrays"
    )
    text = f"no shared memory left for a batch of {need} bytes: {why}, or raise {_SETTING}"
    return ErrorCode.UNAVAILABLE, text


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except (AttributeError, OSError):  # not everywhere, and what matters is that messages stay whole
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return ours, _Socket(fileno=theirs.detach())
