# SPDX-License-Identifier: Apache-2.0
"""A request of blocking gRPC that is answered bit by bit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from pytriton.client._core.failures import late
from pytriton.client._core.flow import Exchange
from pytriton.client._grpc.wire import decode_response

__all__ = ["GrpcStreamCall"]


class GrpcStreamCall:
    """A call whose every response must come in time."""

    def __init__(
        self, call: Any, command: Exchange, failure: Callable[[Exception, Exchange], Exception]
    ) -> None:
        """Take a call that has been started.

        Args:
            call: The call.
            command: What was asked; its timeout is that of each response.
            failure: Makes an exception of ours of one of gRPC's.
        """
        self._call = call
        self._command = command
        self._failure = failure
        self._alarm = _Alarm(command.timeout_s, call.cancel)

    def __next__(self) -> dict[str, Any]:
        """The outputs of the next response."""
        try:
            with self._alarm:
                data: bytes = next(self._call)
        except grpc.RpcError as error:
            rung = self._alarm.has_rung
            raise late(self._command) if rung else self._failure(error, self._command) from error
        return decode_response(data, self._command.what)

    def cancel(self) -> None:
        """Want no more; the server is told."""
        self._alarm.stop()
        self._call.cancel()


class _Alarm:
    """Calls a function when a block takes too long; one thread watches over all blocks of a stream."""

    def __init__(self, timeout_s: float, ring: Callable[[], object]) -> None:
        self._timeout_s = timeout_s
        self._ring = ring
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._idle = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.has_rung = False

    def __enter__(self) -> None:
        with self._changed:
            self._deadline = time.monotonic() + self._timeout_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="pytriton-stream", daemon=True)
                self._thread.start()
            elif self._idle:
                self._changed.notify()

    def __exit__(self, *_: object) -> None:
        self._deadline = None

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                deadline = self._deadline
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    self.has_rung = True
                    break
                self._idle = deadline is None
                self._changed.wait(left)
            else:
                return
        self._ring()
