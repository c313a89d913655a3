# SPDX-License-Identifier: Apache-2.0
"""One worker: a thread that takes batches from the server, calls the function, and sends the results."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from sys import getrefcount
from time import monotonic_ns
from typing import Any, TypeAlias

from pytriton.batching.current import find_records_with
from pytriton.batching.triton_context import serve_model
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.metrics.reporter import reporter
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.model_config.warmup import ModelWarmup
from pytriton.request import Array, RequestRecords
from pytriton.worker.activity import Activity
from pytriton.worker.arena import Arena
from pytriton.worker.callables import Caller
from pytriton.worker.channel import Block, Channel, ChannelClosed, Execute, ProtocolError
from pytriton.worker.connector import Connector
from pytriton.worker.failures import code_and_text, describe
from pytriton.worker.listener import Listener
from pytriton.worker.results import ResultWriter
from pytriton.worker.streams import StreamServer
from pytriton.worker.views import BlockReader
from pytriton.worker.warmup import warm_up

__all__ = ["Worker", "WorkerSpec"]

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker serves, and where it meets the server."""

    model: TritonModelConfig
    socket_path: str
    strict: bool = False
    batches_in_flight: int = 1
    cancel_coroutines: bool = False
    warmups: Sequence[ModelWarmup] = ()

    @property
    def one_at_a_time(self) -> bool:
        """Whether the worker has nothing else to do while the function runs."""
        return self.batches_in_flight == 1 and not self.model.decoupled and not self.cancel_coroutines


# What is sent for a batch: its table, begin and end of the function; and an error that ends the worker.
_Answer: TypeAlias = "tuple[Block, int, int, PyTritonUnrecoverableError | None]"


class Worker:
    """Runs one function in a thread of its own; when a server goes away it waits for the next."""

    def __init__(
        self,
        spec: WorkerSpec,
        function: Callable[..., Any],
        index: int,
        on_failure: Callable[[BaseException], object],
        activity: Activity | None = None,
    ) -> None:
        self._spec = spec
        self._activity = activity
        self._model = spec.model
        self._warmups = spec.warmups
        self._function = function
        self._on_failure = on_failure
        self._connector = Connector(spec.socket_path, capacity=spec.batches_in_flight)
        self._reader = BlockReader(spec.model)
        self._writer = ResultWriter(spec.model, strict=spec.strict)
        self._channel: Channel | None = None
        self._work: Execute | None = None
        self._copied_before = 0
        self._owner = os.getpid()
        self.warm: Future[None] = Future()
        """Done when the function has been warmed up, or has failed to be."""
        self.thread = threading.Thread(
            target=self.run, name=f"pytriton-{spec.model.model_name}-{index}", daemon=True
        )

    @property
    def bytes_copied(self) -> int:
        """Tensor bytes that Python code has copied since the start."""
        channel = self._channel
        return self._copied_before + (channel.bytes_copied if channel is not None else 0)

    def shutdown(self) -> None:
        """Let the thread end as soon as the function returns."""
        self._connector.shutdown()

    def leave(self) -> None:
        """Take no batch any more, and let the thread end when those that it has are answered."""
        self._connector.leave()

    def run(self) -> None:
        """Serve until shutdown() or leave(); for a worker that is to have the calling thread."""
        serve_model(self._model, self._function)
        caller = Caller(self._function)
        reporter.join(self._spec.socket_path)
        try:
            warm_up(self._model, self._warmups, caller, self._writer, self._connector.check)
            find_records_with(self._find_records)
            self.warm.set_result(None)
            while True:
                self._serve(self._connector.open(), caller)
        except ChannelClosed:  # shutdown() was called
            pass
        except BaseException as error:
            LOGGER.error('model "%s": the worker has ended: %s', self._model.model_name, describe(error))
            self._on_failure(error)
            if not self.warm.done():
                self.warm.set_exception(error)
        finally:
            self.warm.cancel()
            self.shutdown()
            reporter.leave(self._spec.socket_path)
            caller.close()

    def _serve(self, channel: Channel, caller: Caller) -> None:
        self._channel = channel
        served = 0
        streams = self._streams(channel, caller)
        listener: Listener | None = None
        try:
            if streams is not None:
                streams.serve()
            while True:
                if caller.has_loop:
                    listener = listener or Listener(caller.event_loop(), channel)
                    listener.turn()
                self._execute(channel, channel.receive(), caller)
                served += 1
        except ChannelClosed:
            pass
        except PyTritonUnrecoverableError:
            raise
        except Exception:  # the batch cannot be read, or not be answered: the end of the connection tells it
            self._end_forked_child()
            caller.check_loop()
            LOGGER.exception('model "%s": connecting to the server anew', self._model.model_name)
        finally:
            channel.close()
            self._work = None
            self._copied_before, self._channel = self.bytes_copied, None
            self._end_forked_child()
            if listener is not None:
                listener.close()
        if not served and (streams is None or not streams.served):
            self._connector.pause()

    def _find_records(self) -> RequestRecords | None:
        work, channel = self._work, self._channel
        if work is None or channel is None:
            return None
        return self._reader.copy_records(channel.segment, work.offset, lambda: self._work is work)

    def _streams(self, channel: Channel, caller: Caller) -> StreamServer | None:
        if self._spec.one_at_a_time:
            return None
        return StreamServer(
            channel,
            caller,
            self._reader,
            self._writer,
            decoupled=self._model.decoupled,
            cancel_coroutines=self._spec.cancel_coroutines,
            activity=self._activity,
        )

    def _end_forked_child(self) -> None:
        # It would go on as one more worker; and a proper end may hang in libraries that miss their threads.
        if os.getpid() != self._owner:
            LOGGER.error(
                'model "%s": a child process came out of the function and is ended; use os._exit()',
                self._model.model_name,
            )
            os._exit(1)

    def _execute(self, channel: Channel, work: Execute, caller: Caller) -> None:
        self._work = work
        if self._activity is not None:
            self._activity.begin()
        slot, offset, length = work
        exporter = channel.segment.export(offset, length)
        # Counted twice in the same way, since interpreters differ in what they count for one reference.
        alone = getrefcount(exporter)
        table, begin_ns, end_ns, last_error = self._answer(channel, work, exporter, caller)
        kept = None if getrefcount(exporter) == alone else exporter
        if self._activity is not None:
            self._activity.end()
        channel.send_result(slot, table, begin_ns, end_ns, kept)
        if last_error is not None:
            raise last_error

    def _answer(self, channel: Channel, work: Execute, exporter: Array, caller: Caller) -> _Answer:
        """Call the function and place what it returns; only what the function keeps is left of the batch."""
        slot, offset, length = work
        segment = channel.segment
        inputs, rows, free, free_length = self._reader.read_inputs(segment, exporter, offset)
        batch = result = last_error = None
        begin_ns = end_ns = monotonic_ns()
        try:
            if caller.direct is None or (
                caller.takes_parameters and self._reader.has_parameters(segment, offset)
            ):
                batch = self._reader.batch_of(inputs, segment, exporter, offset)
                result = caller.call(batch)
                end_ns = monotonic_ns()
            else:
                result = caller.direct(**inputs)
                end_ns = monotonic_ns()
                small = self._writer.small
                if small is not None and (table := small.write(segment, free, free_length, rows, result)):
                    return table, begin_ns, end_ns, None
                batch = self._reader.batch_of(inputs, segment, exporter, offset)
                result = caller.finish(batch, result)
                end_ns = monotonic_ns()
            arena = Arena(channel, slot, Block(offset, length), Block(free, free_length))
            table = self._writer.write(arena, batch, result)
        except (ChannelClosed, ProtocolError):
            raise
        except BaseException as error:
            end_ns = monotonic_ns()
            arena = Arena(channel, slot, Block(offset, length), Block(free, free_length))
            table = self._writer.fail(arena, *code_and_text(error))
            if isinstance(error, PyTritonUnrecoverableError):
                last_error = error
        # The function may keep the exception, and that this frame.
        del batch, inputs, exporter, result
        return table, begin_ns, end_ns, last_error
