# SPDX-License-Identifier: Apache-2.0
"""Processes that were killed, and servers that died by themselves: what they excuse."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from tests.helpers.gate import wait_until
from tests.helpers.processes import Watch, servers_of
from tests.helpers.server import Address

__all__ = ["Deaths", "Kill", "is_ready"]

_PROCESSES: Final = "processes"
# A client asks again on a connection that the killed server had, or is refused by a port not yet open.
_SLACK_S: Final = 1.0
_POLL_S: Final = 0.05


@dataclass
class Kill:
    """One process that has died, and how long it took until all was well again."""

    what: str
    at: float
    seconds: float

    def excuses(self, kind: str, began: float, ended: float) -> bool:
        """Whether it may be the reason for an answer that a client did not get."""
        concerned = self.what != "worker" or kind == _PROCESSES
        return concerned and began <= self.at + self.seconds + _SLACK_S and ended >= self.at


class Deaths:
    """Servers that die without having been killed.

    Triton 2.51 may, when gRPC streams are cancelled as they end (docs/streaming.md).
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._expected: set[int] = set()
        self._found: list[Kill] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deaths", daemon=True)

    def expect(self, pid: int) -> None:
        """A server is about to be killed."""
        self._expected.add(pid)

    def take(self) -> list[Kill]:
        """Those since the last look."""
        with self._lock:
            found, self._found = self._found, []
            return found

    def __enter__(self) -> Deaths:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            for pid in servers_of(os.getpid()):
                self._watch(pid)
            self._stopped.wait(_POLL_S)

    def _watch(self, pid: int) -> None:
        try:
            watch = Watch(pid)
        except ProcessLookupError:
            return
        while not watch.gone(_POLL_S):
            if self._stopped.is_set():
                watch.leave()
                return
        watch.leave()
        if pid in self._expected:
            return
        with self._lock:
            at = time.monotonic() - _SLACK_S  # nobody has seen the moment itself
            wait_until(lambda: is_ready(self._address), "a server that is ready again")
            self._found.append(Kill("server, by itself", at, time.monotonic() - at))


def is_ready(address: Address) -> bool:
    """Whether the server answers that it is ready."""
    try:
        return address.get("/v2/health/ready").status == 200
    except OSError:
        return False
