# SPDX-License-Identifier: Apache-2.0
"""Requests that provably wait in the server's queue, so that what it makes of them is not left to chance."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.helpers.clients import Array, ask_later
from tests.helpers.server import TIMEOUT_S, Address, Server

__all__ = ["Gate", "plugged", "wait_for_queue", "wait_until"]

_POLL_S: Final = 0.002
_QUEUED: Final = "nv_inference_pending_request_count"


class Gate:
    """A place in a function where it waits while the gate is shut; open unless `plugged` shuts it."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()

    def pass_through(self) -> None:
        """Wait until the gate is open."""
        if self._open.is_set():
            return
        self._arrived.release()
        if not self._open.wait(TIMEOUT_S):
            raise TimeoutError("nobody opened the gate")

    def wait_for_arrival(self) -> None:
        """Wait until one more caller stands at the gate."""
        if not self._arrived.acquire(timeout=TIMEOUT_S):
            raise TimeoutError("nobody came to the gate")

    def shut(self) -> None:
        """Let nobody through."""
        self._open.clear()

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()


@contextlib.contextmanager
def plugged(server: Server, model: str, gate: Gate, plug: Mapping[str, Array]) -> Iterator[None]:
    """Keep a worker busy; if it is the only one, whatever is sent in the block stays in the queue."""
    gate.shut()
    try:
        request = ask_later(server, model, plug)
        gate.wait_for_arrival()
        yield
    finally:
        gate.open()
    request.result(TIMEOUT_S)


def wait_for_queue(server: Address, model: str, count: int) -> None:
    """Wait until so many requests are in the queue of a model."""
    wait_until(lambda: server.metrics(model).get(_QUEUED) == count, f"{count} requests in the queue")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what nobody gives notice of."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came: {what}")
        time.sleep(_POLL_S)
