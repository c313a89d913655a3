# SPDX-License-Identifier: Apache-2.0
"""gRPC calls over HTTP/2, one at a time on a connection and ready-made: a tenth of what a gRPC library costs.

No header compression with a state is allowed in either direction, so that blocks of headers stand for
themselves: ours are made once, and those that come are decoded once for each content.
"""

from __future__ import annotations

import struct
from typing import Final
from urllib.parse import unquote

import hpack

__all__ = ["GrpcExchange", "grpc_headers"]

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_HEAD: Final = 9
_LARGEST_WINDOW: Final = 2**31 - 1
_FIRST_WINDOW: Final = 65_535
_FIRST_FRAME_SIZE: Final = 16_384
_LAST_STREAM: Final = 2**31 - 3
_UPDATE_AFTER: Final = 1 << 24


def grpc_headers(path: str, authority: str, metadata: tuple[tuple[str, str], ...]) -> bytes:
    """The block of headers of a call.

    Args:
        path: Full name of the method.
        authority: host:port.
        metadata: Metadata of the call.
    """
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *metadata,
    ]
    block: bytes = hpack.Encoder().encode(
        [hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields], huffman=False
    )
    return block


class GrpcExchange:
    """Calls of one method with one message."""

    def __init__(self, headers: bytes, message: bytes) -> None:
        """Take what is sent.

        Args:
            headers: As grpc_headers makes them.
            message: The serialised message.
        """
        self._headers = headers
        self._content = struct.pack(">BI", 0, len(message)) + message
        self._statuses: dict[bytes, str | None] = {}
        self._buffer = bytearray()
        self._block = bytearray()
        self._stream = -1
        self._greeted = False
        self._frame_size = _FIRST_FRAME_SIZE
        self._stream_window_at_first = _FIRST_WINDOW
        self._window = _FIRST_WINDOW
        self._stream_window = _FIRST_WINDOW
        self._rest: memoryview | None = None
        self._consumed = 0
        self.complete = False
        self.error: str | None = None
        self.keeps_alive = True

    def opening(self) -> bytes:
        """The preface, our settings, and a window that needs no attention."""
        settings = ((_HEADER_TABLE_SIZE, 0), (_ENABLE_PUSH, 0), (_INITIAL_WINDOW_SIZE, _LARGEST_WINDOW))
        payload = b"".join(struct.pack(">HI", name, value) for name, value in settings)
        update = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
        return _PREFACE + _frame(_SETTINGS, 0, 0, payload) + _frame(_WINDOW_UPDATE, 0, 0, update)

    def has_greeted(self) -> bool:
        """Whether the server's settings are there."""
        return self._greeted

    def request(self) -> bytes:
        """The headers and the message, or as much of it as the server has room for."""
        self._stream += 2
        if self._stream >= _LAST_STREAM:
            self.keeps_alive = False
        self._stream_window = self._stream_window_at_first
        self._rest = memoryview(self._content)
        return _frame(_HEADERS, _END_HEADERS, self._stream, self._headers) + self._sendable()

    def feed(self, data: bytes) -> bytes:
        """Take frames; the answers to those that want one."""
        buffer = self._buffer
        buffer += data
        if not self._greeted and buffer[:5] == b"HTTP/":
            raise ValueError("this looks like the HTTP port; the gRPC port is another (8001 by default)")
        position = 0
        outgoing = b""
        while len(buffer) - position >= _HEAD:
            length = int.from_bytes(buffer[position : position + 3], "big")
            end = position + _HEAD + length
            if end > len(buffer):
                if length > 1 << 24:
                    raise ValueError("the answer is no HTTP/2")
                break
            outgoing += self._take(
                buffer[position + 3],
                buffer[position + 4],
                int.from_bytes(buffer[position + 5 : position + _HEAD], "big") & _LARGEST_WINDOW,
                bytes(buffer[position + _HEAD : end]),
            )
            position = end
        del buffer[:position]
        return outgoing

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _DATA:
            return self._take_data(flags, stream, len(payload))
        if kind in (_HEADERS, _CONTINUATION):
            self._take_headers(kind, flags, stream, payload)
        elif kind == _SETTINGS and not flags & _ACK:
            return self._take_settings(payload)
        elif kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW_UPDATE:
            increment = int.from_bytes(payload, "big") & _LARGEST_WINDOW
            if stream == 0:
                self._window += increment
            elif stream == self._stream:
                self._stream_window += increment
            return self._sendable() if self._rest is not None else b""
        elif kind == _RST_STREAM and stream == self._stream:
            self._end(f"the server reset the call (HTTP/2 error {int.from_bytes(payload, 'big')})")
        elif kind == _GOAWAY:
            self.keeps_alive = False
        return b""

    def _take_data(self, flags: int, stream: int, length: int) -> bytes:
        if flags & _END_STREAM and stream == self._stream:
            self._end("the answer has no trailers")
        self._consumed += length
        if self._consumed < _UPDATE_AFTER:
            return b""
        update = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._consumed))
        self._consumed = 0
        return update

    def _take_headers(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS:
            padding = payload[0] if flags & _PADDED else 0
            start = bool(flags & _PADDED) + (5 if flags & _PRIORITY else 0)
            payload = payload[start : len(payload) - padding]
            self._block.clear()
            self._ends_stream = bool(flags & _END_STREAM)
        self._block += payload
        if flags & _END_HEADERS and self._ends_stream and stream == self._stream:
            block = bytes(self._block)
            if block not in self._statuses:
                self._statuses[block] = _trouble_of(block)
            self._end(self._statuses[block])

    def _take_settings(self, payload: bytes) -> bytes:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._stream_window_at_first
                self._stream_window_at_first = value
            elif name == _MAX_FRAME_SIZE:
                self._frame_size = value
        self._greeted = True
        more = self._sendable() if self._rest is not None else b""
        return _frame(_SETTINGS, _ACK, 0, b"") + more

    def _sendable(self) -> bytes:
        """Frames with as much of the message as may be sent."""
        assert self._rest is not None
        frames = []
        while self._rest is not None:
            size = min(len(self._rest), self._frame_size, self._window, self._stream_window)
            if size <= 0:
                break
            last = size == len(self._rest)
            frames.append(_frame(_DATA, _END_STREAM if last else 0, self._stream, self._rest[:size]))
            self._window -= size
            self._stream_window -= size
            self._rest = None if last else self._rest[size:]
        return b"".join(frames)

    def _end(self, error: str | None) -> None:
        self._rest = None
        self.error = error
        self.complete = True


def _frame(kind: int, flags: int, stream: int, payload: bytes | memoryview) -> bytes:
    return b"".join(
        (struct.pack(">I", len(payload))[1:], bytes((kind, flags)), struct.pack(">I", stream), payload)
    )


def _trouble_of(block: bytes) -> str | None:
    """Why a call failed, after its trailers."""
    try:
        decoded = hpack.Decoder().decode(block, raw=True)
        fields = {bytes(name).decode(): bytes(value).decode() for name, value in decoded}
    except (hpack.HPACKError, UnicodeDecodeError) as error:
        raise ValueError(f"the trailers of the answer cannot be read: {error}") from None
    status = fields.get("grpc-status")
    if status == "0":
        return None
    if status is None:
        return f"HTTP status {fields.get(':status', 'unknown')}, and no status of gRPC"
    return f"gRPC status {status}: {unquote(fields.get('grpc-message', ''))}"
