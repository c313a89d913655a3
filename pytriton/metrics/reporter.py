# SPDX-License-Identifier: Apache-2.0
"""The thread that tells servers what this process counts; there is none as long as nothing is counted."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
from time import monotonic
from typing import Final

from pytriton.metrics.place import Place
from pytriton.metrics.registry import registry

__all__ = ["Reporter", "reporter"]

LOGGER = logging.getLogger(__name__)

_PERIOD_S: Final = 0.25
_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 1.0
_LEAVE_TIMEOUT_S: Final = 1.0


class Reporter:
    """Reports to every place where this process has workers, as long as it has some there."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may count something
        self._places: dict[str, Place] = {}
        # Somebody may come back to one, whose server has not forgotten what it was told.
        self._left: dict[str, Place] = {}
        self._users: dict[str, int] = {}
        self._leaving: dict[str, threading.Event] = {}
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None

    def join(self, socket_path: str) -> None:
        """Report to the server that listens on this socket of a model, until as many have left."""
        directory = os.path.dirname(socket_path)
        with self._lock:
            self._users[directory] = self._users.get(directory, 0) + 1
            if directory not in self._places:
                left = self._left.pop(directory, None)
                self._places[directory] = Place(directory) if left is None else left
        if registry.changed or registry.families():
            self.wake()

    def leave(self, socket_path: str) -> None:
        """Say the last of it, if nobody else reports there, and wait until the server has it."""
        directory = os.path.dirname(socket_path)
        with self._lock:
            self._users[directory] -= 1
            if self._users[directory]:
                return
            del self._users[directory]
            if self._thread is None:
                self._let_go(directory)
                return
            gone = self._leaving.setdefault(directory, threading.Event())
            self._ring()
        gone.wait(_LEAVE_TIMEOUT_S)

    def wake(self) -> None:
        """Look what has changed."""
        with self._lock:
            if self._thread is None and self._places:
                ours, self._bell = socket.socketpair()
                self._bell.setblocking(False)
                self._thread = threading.Thread(
                    target=self._run, args=(ours,), name="pytriton-metrics", daemon=True
                )
                self._thread.start()
            self._ring()

    def abandon(self) -> None:
        """Be as new, in a forked child: threads and connections are its parent's."""
        for place in self._places.values():
            place.close()
        self.__init__()  # type: ignore[misc]

    def _ring(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):  # it rings already
                self._bell.send(b"!")

    def _run(self, bell: socket.socket) -> None:
        retry_s = _FIRST_RETRY_S
        with bell:
            bell.setblocking(False)
            while places := self._remaining():
                begin = monotonic()
                registry.changed = False
                for place in places:
                    place.report(places)
                self._dismiss()
                connected = all(place.connected for place in places)
                retry_s = _FIRST_RETRY_S if connected else min(2 * retry_s, _LAST_RETRY_S)
                self._wait(bell, places, None if connected else retry_s)
                self._pause(bell, begin + _PERIOD_S - monotonic())

    def _remaining(self) -> list[Place]:
        with self._lock:
            if not self._places:
                self._thread = None
                if self._bell is not None:
                    self._bell.close()
                self._bell = None
            return list(self._places.values())

    def _dismiss(self) -> None:
        """Let go of places that everybody has left; what was counted up to then was just reported."""
        with self._lock:
            for directory, gone in self._leaving.items():
                if directory not in self._users:
                    self._let_go(directory)
                gone.set()
            self._leaving.clear()

    def _let_go(self, directory: str) -> None:
        place = self._left[directory] = self._places.pop(directory)
        place.close()

    @staticmethod
    def _wait(bell: socket.socket, places: list[Place], timeout_s: float | None) -> None:
        """Wait until something has changed, or a connection has ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(bell, selectors.EVENT_READ)
            for place in places:
                if place.connected:
                    selector.register(place, selectors.EVENT_READ)
            selector.select(timeout_s)

    def _pause(self, bell: socket.socket, seconds: float) -> None:
        """Let changes gather; not when somebody waits to leave."""
        with contextlib.suppress(BlockingIOError):
            while bell.recv(4096):
                pass
        while seconds > 0 and not self._leaving:
            end = monotonic() + seconds
            with selectors.DefaultSelector() as selector:
                selector.register(bell, selectors.EVENT_READ)
                selector.select(seconds)
            with contextlib.suppress(BlockingIOError):
                bell.recv(4096)
            seconds = end - monotonic()


reporter: Final = Reporter()
registry.wake = reporter.wake
os.register_at_fork(after_in_child=reporter.abandon)
