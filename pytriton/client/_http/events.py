# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, in which the generate extension answers, without input or output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytriton.client._core import failures
from pytriton.client._http.wire import HttpReply, error_text

__all__ = ["EventReader", "raise_for_status"]

_LONGEST: Final = 1 << 30


class EventReader:
    """Events out of the text of an event stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, text: bytes) -> Iterator[bytes]:
        """The events that are complete with this."""
        self._rest += text
        if len(self._rest) > _LONGEST:
            raise ValueError("an event without end")
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data.clear()

    @property
    def is_between(self) -> bool:
        """Whether no event has begun that is not complete."""
        return not self._rest and not self._data


def raise_for_status(reply: HttpReply, what: str) -> None:
    """Raise the exception for a reply that is no stream; errors of models are events in it."""
    body = bytes(reply.body).strip()
    reply.body = body.removeprefix(b"data:").strip()
    raise failures.from_http_status(reply.status, error_text(reply), what)
