# SPDX-License-Identifier: Apache-2.0
"""Replies out of the bytes of a connection; httptools, the parser of Node.js, reads them."""

from __future__ import annotations

from typing import Any, Final

import httptools

from pytriton.client._core.failures import NotHttp
from pytriton.client._http.body import body_buffer
from pytriton.client._http.wire import HttpReply

__all__ = ["ReplyReader"]

_SHOWN: Final = 80
_UNREADABLE: Final = (httptools.HttpParserError, httptools.HttpParserUpgrade)


class ReplyReader:
    """Reads one reply, without input or output of its own."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self.keeps_open = False
        """Whether the connection can be used again; known when the reply is complete."""
        self._parser = httptools.HttpResponseParser(self)
        self._body: Any = None
        self._position = 0
        self._taken = 0

    @property
    def has_begun(self) -> bool:
        """Whether status and headers are known."""
        return self._body is not None

    def feed(self, data: bytes) -> None:
        """Take what has come; NotHttp if that cannot be a reply, ValueError if it contradicts itself."""
        if self._position:
            self._fill(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except _UNREADABLE:
            if self.is_complete:  # the server goes on where it should not
                self.keeps_open = False
                return
            raise NotHttp(data[:_SHOWN].decode("latin-1")) from None

    def room(self) -> memoryview | None:
        """Where the rest of a body belongs, if its length is known: to be read into, and told to filled()."""
        if self._position and isinstance(self._body, memoryview):
            return self._body[self._position :]
        return None

    def filled(self, count: int) -> None:
        """So many bytes have been read into room()."""
        self._position += count
        if self._position == len(self._body):
            self.is_complete = True

    def end(self) -> None:
        """Nothing more will come; ConnectionResetError if something should."""
        if self.is_complete:
            return
        if not isinstance(self._body, bytearray) or "transfer-encoding" in self.headers:
            raise ConnectionResetError
        self.is_complete, self.keeps_open = True, False  # such a body lasts as long as its connection

    def take(self) -> bytes:
        """The part of the body that has come since the last time."""
        if isinstance(self._body, bytearray):  # its length is not known
            taken = bytes(self._body)
            self._body.clear()
        else:
            taken = bytes(self._body[self._taken : self._position])
            self._taken = self._position
        return taken

    def reply(self) -> HttpReply:
        """The whole reply."""
        return HttpReply(self.status, self.headers, self._body)

    def on_message_begin(self) -> None:
        """Called by the parser; after the reply it means that the server says what nobody asked."""
        if self.is_complete:
            self.keeps_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self.is_complete:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:  # the real reply is still to come
            self.headers.clear()
            return
        self.keeps_open = self._parser.should_keep_alive()
        length = self.headers.get("content-length")
        if length is None or "transfer-encoding" in self.headers:
            self._body = bytearray()
        else:
            self._body = body_buffer(int(length), self.headers)

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        if isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body[self._position : self._position + len(data)] = data
            self._position += len(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._body is None:
            return
        if isinstance(self._body, memoryview):
            # Some replies tell a length but have no body (204, 304); the memory holds what others left in it.
            self._body = self._body[: self._position]
        self.is_complete = True

    def _fill(self, data: bytes) -> None:
        # What remains of a body of known length needs no parser.
        end = self._position + len(data)
        body = self._body
        if end > len(body):
            data, end, self.keeps_open = data[: len(body) - self._position], len(body), False
        body[self._position : end] = data
        self._position = end
        self.is_complete = end == len(body)
