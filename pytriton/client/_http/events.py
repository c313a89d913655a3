# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, in which the generate extension answers."""

from __future__ import annotations

import collections
from typing import Final

from pytriton.client._core import failures
from pytriton.client._http.reader import ReplyReader
from pytriton.client._http.wire import HttpReply, error_text
from pytriton.client.exceptions import PyTritonClientError

__all__ = ["EventReader"]

_LONGEST: Final = 1 << 30


class EventReader:
    """Events out of a reply, without input or output of its own."""

    def __init__(self, what: str) -> None:
        """Begin.

        Args:
            what: Beginning of messages.
        """
        self.ready: collections.deque[bytes] = collections.deque()
        """Events that have come and that nobody has taken yet."""
        self._what = what
        self._rest = b""
        self._data: list[bytes] = []

    def hear(self, reader: ReplyReader) -> None:
        """Take what the reply has more than before; the exception for a reply that is no stream."""
        if not reader.has_begun:
            return
        if reader.status == 200:
            self._feed(reader.take())
        elif reader.is_complete:
            raise _failure(reader.reply(), self._what)

    def end(self) -> None:
        """Nothing more will come; ConnectionResetError if an event has begun that is not complete."""
        if self._rest or self._data:
            raise ConnectionResetError

    def _feed(self, text: bytes) -> None:
        self._rest += text
        if len(self._rest) > _LONGEST:
            raise ValueError("an event without end")
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                self.ready.append(b"\n".join(self._data))
                self._data.clear()


def _failure(reply: HttpReply, what: str) -> PyTritonClientError:
    """The exception for a reply that is no stream; errors of models are events in it."""
    body = bytes(reply.body).strip()
    reply.body = body.removeprefix(b"data:").strip()
    return failures.from_http_status(reply.status, error_text(reply), what)
