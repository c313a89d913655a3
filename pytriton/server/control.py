# SPDX-License-Identifier: Apache-2.0
"""Client of the control channel: commands to the native backend inside the server.

Packets of a SOCK_SEQPACKET socket, in native byte order:
request `u32 op, u32 id` + name of a model, or path of its socket; reply `u32 id, i32 code` + text;
event: a reply with id 0.
The socket is a lifeline as well: when its other end closes, the backend ends the server.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import itertools
import os
import socket
import struct
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, NamedTuple

from pytriton.exceptions import ErrorCode, PyTritonModelLoadError, PyTritonRuntimeError, PyTritonServerError

__all__ = ["ControlChannel", "Op", "result_within"]

_REQUEST: Final = struct.Struct("=II")
_REPLY: Final = struct.Struct("=Ii")
_EVENT_ID: Final = 0
_SUCCESS: Final = -1
_PACKET_BYTES: Final = 1 << 20

_open_channels: weakref.WeakSet[ControlChannel] = weakref.WeakSet()


class Op(enum.IntEnum):
    """Commands."""

    LOAD = 1
    UNLOAD = 2
    COUNTERS = 3
    AWAIT_RELEASE = 4
    GIVE_UP = 5
    BEGIN_UNLOAD = 6
    CUT_OFF = 7
    BEGIN_END = 8


_DEEDS: Final = {
    Op.UNLOAD: 'unload model "{}"',
    Op.COUNTERS: "read the counters",
    Op.AWAIT_RELEASE: "wait for the last request at {}",
    Op.GIVE_UP: 'give up loading model "{}"',
    Op.BEGIN_UNLOAD: 'unload model "{}"',
    Op.CUT_OFF: "fail the requests at {}",
    Op.BEGIN_END: "say that it is ending",
}


class _Command(NamedTuple):
    op: Op
    model: str
    reply: Future[str]


class ControlChannel:
    """Thread-safe client; replies are matched by id, so that commands run side by side."""

    def __init__(self, connection: socket.socket, why_closed: Callable[[], str]) -> None:
        """Start to read.

        Args:
            connection: Our end of the socket pair.
            why_closed: Says what happened to the server; called once its end has closed.
        """
        self._connection = connection
        self._why_closed = why_closed
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._pending: dict[int, _Command] = {}
        self._closed_because: str | None = None
        self.attached: Future[str] = Future()
        """Done when the backend is in the server; its result is the backend API's version."""
        # A forked child that kept our end would keep the server alive after the app is gone.
        _close_channels_after_fork()
        _open_channels.add(self)
        self._thread = threading.Thread(target=self._read, name="pytriton-control", daemon=True)
        self._thread.start()

    def load(self, model: str, timeout_s: float | None = None) -> None:
        """Load a model; returns when it is ready."""
        result_within(self.submit(Op.LOAD, model), timeout_s, f'loading model "{model}"')

    def unload(self, model: str, timeout_s: float | None = None) -> None:
        """Unload a model; returns when all its requests are answered and it is gone."""
        result_within(self.submit(Op.UNLOAD, model), timeout_s, f'unloading model "{model}"')

    def begin_unload(self, model: str, timeout_s: float | None = None) -> None:
        """Let a model take no more requests; returns while it still has some."""
        result_within(self.submit(Op.BEGIN_UNLOAD, model), timeout_s, f'unloading model "{model}"')

    def counters(self, timeout_s: float | None = None) -> dict[tuple[str, int], dict[str, int]]:
        """What the backend has counted, by model name and version."""
        text = result_within(self.submit(Op.COUNTERS), timeout_s, "reading the counters")
        counted = {}
        for line in text.splitlines():
            model, version, *numbers = line.split()
            pairs = (number.split("=", 1) for number in numbers)
            counted[model, int(version)] = {name: int(value) for name, value in pairs}
        return counted

    def submit(self, op: Op, model: str = "") -> Future[str]:
        """Send a command; the future has the reply's text, or the exception that the reply amounts to."""
        reply: Future[str] = Future()
        with self._lock:
            if self._closed_because is not None:
                reply.set_exception(PyTritonServerError(self._closed_because))
                return reply
            number = next(self._ids)
            self._pending[number] = _Command(op, model, reply)
        # When the other end is closed, the reader is about to say why.
        with contextlib.suppress(OSError):
            self._connection.send(_REQUEST.pack(op, number) + model.encode())
        return reply

    def close(self) -> None:
        """Close our end, upon which the backend ends the server; what is outstanding fails."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._connection.close()

    def abandon(self) -> None:
        """Close this process's copy of our end after a fork; the parent keeps its own."""
        with contextlib.suppress(OSError):
            os.close(self._connection.detach())

    def _read(self) -> None:
        while True:
            try:
                packet = self._connection.recv(_PACKET_BYTES)
            except OSError:
                packet = b""
            if len(packet) < _REPLY.size:
                break
            number, code = _REPLY.unpack_from(packet)
            text = packet[_REPLY.size :].decode("utf-8", errors="replace")
            if number == _EVENT_ID:
                with contextlib.suppress(InvalidStateError):
                    self.attached.set_result(text)
            else:
                self._settle(number, code, text)
        self._fail_all()

    def _settle(self, number: int, code: int, text: str) -> None:
        with self._lock:
            command = self._pending.pop(number, None)
        if command is None:
            return
        if code == _SUCCESS:
            command.reply.set_result(text)
        else:
            command.reply.set_exception(_as_exception(command, code, text))

    def _fail_all(self) -> None:
        reason = self._why_closed()
        with self._lock:
            self._closed_because = reason
            outstanding = [command.reply for command in self._pending.values()]
            self._pending.clear()
        for reply in (self.attached, *outstanding):
            _fail(reply, PyTritonServerError(reason))


def result_within(future: Future[str], timeout_s: float | None, what: str) -> str:
    """Result of a command, or PyTritonServerError when there is none in time."""
    try:
        return future.result(timeout_s)
    except FutureTimeoutError:
        raise PyTritonServerError(f"The server was still {what} after {timeout_s:g} s.") from None


def _as_exception(command: _Command, code: int, text: str) -> PyTritonRuntimeError:
    known = ErrorCode(code) if code in ErrorCode._value2member_map_ else ErrorCode.UNKNOWN
    if command.op is Op.LOAD:
        return PyTritonModelLoadError(f'The server could not load model "{command.model}": {text}', known)
    what = _DEEDS[command.op].format(command.model)
    return PyTritonServerError(f"The server could not {what}: {text}", known)


def _fail(reply: Future[str], error: Exception) -> None:
    # Somebody may have cancelled it, or it was attached long ago.
    with contextlib.suppress(InvalidStateError):
        reply.set_exception(error)


@functools.cache
def _close_channels_after_fork() -> None:
    os.register_at_fork(after_in_child=_abandon_channels)


def _abandon_channels() -> None:
    for channel in list(_open_channels):
        channel.abandon()
    _open_channels.clear()
