# SPDX-License-Identifier: Apache-2.0
"""A request of blocking HTTP that is answered bit by bit, as server-sent events."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from pytriton.client._core import failures
from pytriton.client._core.flow import Exchange
from pytriton.client._http.connection import Attempt
from pytriton.client._http.events import EventReader
from pytriton.client._http.response_times import ResponseTimes
from pytriton.client._http.wire import encode

if TYPE_CHECKING:
    from pytriton.client._http.transport import HttpTransport

__all__ = ["HttpStreamCall"]


class HttpStreamCall:
    """A request that has been sent, whose events must each come in time."""

    def __init__(self, transport: HttpTransport, command: Exchange, timeout_s: float | None) -> None:
        """Send the request.

        Args:
            transport: Has the connections.
            command: What is asked; its timeout is that of each response.
            timeout_s: Time for all responses together.
        """
        self._times = ResponseTimes(command, timeout_s, time.monotonic())
        self._events = EventReader(command.what)
        self._lock = threading.Lock()
        self._is_reading = self._is_over = False
        self._attempt = Attempt(transport, command.within(timeout_s), encode(command.operation))
        self._attempt.__enter__()
        try:
            self._attempt.send()
        except (OSError, ValueError) as error:
            self._let_go()
            raise self._attempt.failure(error) from error

    def __next__(self) -> bytes:
        """The next event."""
        with self._lock:
            if self._is_over:
                raise StopIteration
            self._is_reading = True
        event = None
        try:
            event = self._next_event()
        except (OSError, ValueError, failures.NotHttp) as error:
            if isinstance(error, TimeoutError):
                raise self._times.late() from None
            raise self._attempt.failure(error) from error
        finally:
            self._pause(over=event is None)
        if event is None:
            raise StopIteration
        return event

    def cancel(self) -> None:
        """Want no more: the server sees that the connection ends."""
        with self._lock:
            if self._is_over and not self._is_reading:
                return
            self._is_over = True
            reading = self._is_reading
            if reading:
                self._attempt.interrupt()  # who reads lets go
        if not reading:
            self._let_go()

    def _next_event(self) -> bytes | None:
        attempt, events = self._attempt, self._events
        attempt.renew(self._times.deadline(time.monotonic()))
        while not events.ready and not attempt.reader.is_complete:
            attempt.read()
            events.hear(attempt.reader)
        if events.ready:
            return events.ready.popleft()
        events.end()
        return None

    def _pause(self, *, over: bool) -> None:
        # The end is told under the lock: else who cancels just then would let go of the connection too.
        with self._lock:
            self._is_reading = False
            over = self._is_over = self._is_over or over
        if over:
            self._let_go()

    def _let_go(self) -> None:
        self._attempt.__exit__(None, None, None)
