# SPDX-License-Identifier: Apache-2.0
"""Addresses of a host."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - else the first look-up imports it, maybe while another thread forks
import socket
import threading
import time
from typing import Any

__all__ = ["Lookup"]


class Lookup:
    """Asks the system's resolver, which knows no deadline and cannot be interrupted: it is left behind."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._found: Any = None

    def addresses(self, host: str, port: int, deadline: float) -> list[Any]:
        """What socket.getaddrinfo gives.

        Args:
            host: Name or address.
            port: Port.
            deadline: Until when, by time.monotonic().
        """
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:  # it is a name
            pass
        try:
            threading.Thread(
                target=self._look_up, args=(host, port), name="pytriton-lookup", daemon=True
            ).start()
        except RuntimeError:  # no thread is to be had, as at the interpreter's end
            self._look_up(host, port)
        self._ended.wait(max(deadline - time.monotonic(), 0))
        found = self._found
        if found is None:
            raise TimeoutError
        if isinstance(found, Exception):
            raise found
        addresses: list[Any] = found
        return addresses

    def give_up(self) -> None:
        """Wait no longer; may be called by any thread."""
        self._found = self._found or ConnectionAbortedError()
        self._ended.set()

    def _look_up(self, host: str, port: int) -> None:
        try:
            self._found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:
            self._found = error
        self._ended.set()
