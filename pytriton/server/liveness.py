# SPDX-License-Identifier: Apache-2.0
"""Whether a server that runs still answers: one that does not for long is killed, to be started again."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Final

from pytriton.exceptions import PyTritonServerError
from pytriton.server.control import Op
from pytriton.server.ports import Endpoint
from pytriton.server.process import ServerProcess

__all__ = ["LivenessProbe"]

_LONGEST_PERIOD_S: Final = 10.0
_HEALTH: Final = "/v2/health/live"


class LivenessProbe:
    """Asks the server every now and then, from a thread of its own.

    Two questions have to be answered: one of the control channel, and one over HTTP, whatever the answer
    says. A server without HTTP is asked the first alone.
    """

    def __init__(
        self, process: Callable[[], ServerProcess], endpoints: Sequence[Endpoint], timeout_s: float
    ) -> None:
        """Ask nothing yet.

        Args:
            process: The server as of now.
            endpoints: Where it listens.
            timeout_s: How long it may owe an answer.
        """
        self._process = process
        self._http = next((endpoint for endpoint in endpoints if endpoint.option == "http"), None)
        self._timeout_s = timeout_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pytriton-server-probe", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(self._timeout_s)

    def _run(self) -> None:
        period_s = min(_LONGEST_PERIOD_S, self._timeout_s / 2)
        while not self._stopped.wait(period_s):
            process = self._process()
            if not process.is_alive() or self._answers(process):
                continue
            if process.is_alive() and not self._stopped.is_set():
                process.condemn(
                    f"The Triton server did not answer for {self._timeout_s:g} s and was killed; "
                    "RestartPolicy(hang_timeout_s=...) sets the limit."
                )

    def _answers(self, process: ServerProcess) -> bool:
        deadline = time.monotonic() + self._timeout_s
        try:
            reply = process.control.submit(Op.COUNTERS)
        except PyTritonServerError:
            return True  # it is just being started, and is asked the next time
        while not futures.wait([reply], _slice(deadline)).done:
            if self._stopped.is_set() or not process.is_alive():
                return True
            if time.monotonic() > deadline:
                return False
        return self._http is None or self._answers_http(self._http, process, deadline)

    def _answers_http(self, endpoint: Endpoint, process: ServerProcess, deadline: float) -> bool:
        host, _, port = endpoint.local.rpartition(":")
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_slice(deadline))
        with contextlib.closing(connection):
            while True:
                try:
                    if connection.sock is None:
                        connection.request("GET", _HEALTH, headers={"Connection": "close"})
                    if _readable(connection.sock, _slice(deadline)):
                        return True
                except (OSError, http.client.HTTPException):
                    # It ends, or its backlog is full.
                    connection.close()
                    self._stopped.wait(_slice(deadline))
                if self._stopped.is_set() or not process.is_alive():
                    return True
                if time.monotonic() > deadline:
                    return False


def _slice(deadline: float) -> float:
    """Some time to wait at once: little, so that the end of the server or of the probe is noticed."""
    return min(0.5, max(0.01, deadline - time.monotonic()))


def _readable(connection: socket.socket, timeout_s: float) -> bool:
    connection.settimeout(timeout_s)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    return True
