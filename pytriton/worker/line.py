# SPDX-License-Identifier: Apache-2.0
"""What a worker process and its application say to each other: small JSON packets on a socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from typing import Any, Final

__all__ = ["MOST_TEXT", "Garbage", "Line"]

MOST_TEXT: Final = 32 * 1024
"""Characters of a text that a packet may have; a packet has to fit the socket's buffer."""
_PACKET_SIZE: Final = 1 << 20


class Garbage(ValueError):
    """A packet that is none of ours."""


class Line:
    """One end of the socket; any thread may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def fileno(self) -> int:
        """Descriptor that is readable when there is something to receive."""
        return self._socket.fileno()

    def send(self, kind: str, **fields: Any) -> bool:
        """Send a packet; false if the other side is gone, or does not read."""
        if os.getpid() != self._owner:  # the line belongs to the process that forked this one
            return False
        packet = json.dumps({"kind": kind, **fields}).encode()
        try:
            with self._lock:
                self._socket.send(packet, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> dict[str, Any] | None:
        """The next packet; None at the end.

        Raises:
            BlockingIOError: There is none yet, and the socket does not wait.
            Garbage: The packet cannot be understood.
        """
        try:
            packet = self._socket.recv(_PACKET_SIZE)
        except BlockingIOError:
            raise
        except OSError:
            return None
        if not packet:
            return None
        try:
            message = json.loads(packet)
        except ValueError as error:
            raise Garbage(f"{packet[:80]!r} is no JSON: {error}") from None
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            raise Garbage(f"{packet[:80]!r} has no kind")
        return message

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.close()
