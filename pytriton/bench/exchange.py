# SPDX-License-Identifier: Apache-2.0
"""What one connection of a load says and hears; no input or output happens here."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

import httptools

__all__ = ["Exchange", "Http1Exchange"]

_ERROR_CHARACTERS: Final = 2048


class Exchange(Protocol):
    """One request at a time on one connection."""

    complete: bool
    """Whether the answer is there; whoever sees it sets it back."""
    error: str | None
    """Why the request failed, once it is complete."""
    keeps_alive: bool
    """Whether the connection can carry another request."""

    def opening(self) -> bytes:
        """What is sent before everything else."""

    def has_greeted(self) -> bool:
        """Whether requests can be sent."""

    def request(self) -> bytes:
        """The next request, or what can be sent of it for now."""

    def feed(self, data: bytes) -> bytes:
        """Take what has come; what is to be sent at once. ValueError if it makes no sense."""


class Http1Exchange:
    """Requests of HTTP/1.1, ready-made."""

    __slots__ = ("_body", "_message", "_parser", "complete", "error", "keeps_alive")

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._parser: Any = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self.complete = False
        self.error: str | None = None
        self.keeps_alive = True

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def has_greeted(self) -> bool:
        """At once."""
        return True

    def request(self) -> bytes:
        """The request."""
        return self._message

    def feed(self, data: bytes) -> bytes:
        """Take a part of the answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError(f"the answer is no HTTP: {error}") from None
        return b""

    def on_body(self, data: bytes) -> None:
        """A part of the body, from the parser."""
        if self._parser.get_status_code() != 200:
            self._body += data

    def on_message_complete(self) -> None:
        """The answer is there, says the parser."""
        self.complete = True
        self.keeps_alive = self._parser.should_keep_alive()
        status = self._parser.get_status_code()
        self.error = None
        if status != 200:
            self.error = f"HTTP status {status}: {_text_of(bytes(self._body))}".strip()
            self._body.clear()


def _text_of(body: bytes) -> str:
    """What the server says, without the JSON around it."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    text = document.get("error") if isinstance(document, dict) else None
    return (text if isinstance(text, str) else body.decode("utf-8", "replace"))[:_ERROR_CHARACTERS]
