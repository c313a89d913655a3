# SPDX-License-Identifier: Apache-2.0
"""A client that counts the responses of a gRPC stream, and does nothing else.

A library for gRPC costs more of a core for each response than server and worker do; where client and server
share the cores, a rate that it counts is mostly its own. So this one reads frames of HTTP/2 from a socket.

Source: RFC 9113 (frames), RFC 7541 section 6.2.2 (headers), gRPC over HTTP/2 (messages in DATA frames).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["BareStream"]

_TIMEOUT_S: Final = 60.0
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME: Final = struct.Struct(">IBI")  # length and type, flags, stream
_MESSAGE: Final = struct.Struct(">BI")  # compressed or not, length
_SETTING: Final = struct.Struct(">HI")
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_INITIAL_WINDOW_SIZE: Final = 4
_MAX_FRAME_SIZE: Final = 5
_LARGEST_FRAME: Final = (1 << 24) - 1
_WIDEST: Final = (1 << 31) - 1
_WINDOW_AT_FIRST: Final = 65_535
_STREAM: Final = 1
_ROOM: Final = 1 << 20


class BareStream:
    """One stream on a connection of its own."""

    def __init__(self, port: int, path: str) -> None:
        """Connect, and open the stream.

        Args:
            port: Where the server listens on loopback for gRPC.
            path: `/package.Service/Method`.
        """
        self.last = b""
        """The last response, as it came."""
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = {_INITIAL_WINDOW_SIZE: _WIDEST, _MAX_FRAME_SIZE: _LARGEST_FRAME}
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": f"127.0.0.1:{port}",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        self._socket.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, b"".join(_SETTING.pack(*each) for each in settings.items()))
            # No window is ever filled, so that none has to be opened in between.
            + _frame(_WINDOW, 0, 0, (_WIDEST - _WINDOW_AT_FIRST).to_bytes(4, "big"))
            + _frame(_HEADERS, _END_HEADERS, _STREAM, _literal(headers))
        )

    def __enter__(self) -> BareStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def count(self, request: bytes, expected: int) -> float:
        """Send one request, and read until so many responses have come; returns the seconds that took."""
        begin = time.perf_counter()
        self._socket.sendall(_frame(_DATA, 0, _STREAM, _MESSAGE.pack(0, len(request)) + request))
        number = 0
        messages = self._messages()
        while number < expected:
            number += next(messages)
        seconds = time.perf_counter() - begin
        assert number == expected, f"{number} responses instead of {expected}"
        return seconds

    def _messages(self) -> Iterator[int]:
        """How many messages have ended in each frame."""
        received, stream = bytearray(), bytearray()
        while part := self._socket.recv(_ROOM):
            received += part
            place = 0
            while len(received) - place >= _FRAME.size:
                length_and_type, flags, _ = _FRAME.unpack_from(received, place)
                begin = place + _FRAME.size
                end = begin + (length_and_type >> 8)
                if end > len(received):
                    break
                if (kind := length_and_type & 0xFF) == _DATA:
                    stream += received[begin:end]
                    yield self._take(stream)
                else:
                    self._control(kind, flags, bytes(received[begin:end]))
                place = end
            del received[:place]
        raise ConnectionError("the server has closed the connection")

    def _take(self, stream: bytearray) -> int:
        """Take the whole messages away; returns how many there were."""
        number = place = 0
        while len(stream) - place >= _MESSAGE.size:
            _, length = _MESSAGE.unpack_from(stream, place)
            begin, end = place + _MESSAGE.size, place + _MESSAGE.size + length
            if end > len(stream):
                break
            number, place, last = number + 1, end, slice(begin, end)
        if number:
            self.last = bytes(stream[last])
            del stream[:place]
        return number

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GO_AWAY) or (kind == _HEADERS and flags & _END_STREAM):
            raise ConnectionError(f"the server has ended the stream: frame {kind} {payload!r}")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


def _literal(headers: Mapping[str, str]) -> bytes:
    """Headers that nobody has to remember."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers.items())


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
