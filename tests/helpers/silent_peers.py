# SPDX-License-Identifier: Apache-2.0
"""Servers that let a client wait while it connects."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.helpers.gate import wait_until
from tests.helpers.server import LOCAL, TIMEOUT_S

__all__ = ["SilentPeer", "blackhole", "silent_after_connect"]

_FILLERS: Final = 4
_STATES: Final = {"ESTABLISHED": "01", "SYN_SENT": "02"}


class SilentPeer:
    """A port, and the state in which its clients' connections stay."""

    def __init__(self, port: int, state: str) -> None:
        self.address = f"{LOCAL}:{port}"
        self._port = port
        self._state = state
        self._before = 0
        self._before = self.waiting

    @property
    def waiting(self) -> int:
        """How many clients are waiting."""
        tables = [Path(f"/proc/self/net/{name}").read_text() for name in ("tcp", "tcp6")]
        rows = [line.split()[2:4] for table in tables for line in table.splitlines()]
        port, state = f":{self._port:04X}", _STATES[self._state]
        return sum(row[0].endswith(port) and row[1] == state for row in rows) - self._before

    def wait(self, clients: int = 1) -> None:
        """Wait until so many clients wait."""
        wait_until(lambda: self.waiting >= clients, f"{clients} clients are connecting")


@contextlib.contextmanager
def silent_after_connect() -> Iterator[SilentPeer]:
    """Connections are made, by the kernel; nobody ever says anything, a TLS handshake least of all."""
    with socket.create_server((LOCAL, 0)) as listener:
        yield SilentPeer(listener.getsockname()[1], "ESTABLISHED")


@contextlib.contextmanager
def blackhole() -> Iterator[SilentPeer]:
    """No connection is made: the kernel drops who comes while the queue of those to be accepted is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOCAL, 0))
        listener.listen(0)
        for _ in range(_FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        assert poll.poll(1e3 * TIMEOUT_S)
        yield SilentPeer(listener.getsockname()[1], "SYN_SENT")
