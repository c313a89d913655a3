# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any, cast

from pytriton.exceptions import PyTritonServerError
from pytriton.server.liveness import LivenessProbe
from pytriton.server.process import ServerProcess

TIMEOUT_S = 10.0


class SilentControl:
    def submit(self, _op: object) -> Future[str]:
        return Future()


class StartingServer:
    """A server that is a process already, and has a control channel only when it is asked again."""

    def __init__(self) -> None:
        self.condemned = threading.Event()
        self._asked = 0

    @property
    def control(self) -> Any:
        self._asked += 1
        if self._asked == 1:
            raise PyTritonServerError("The server was not started.")
        return SilentControl()

    def is_alive(self) -> bool:
        return not self.condemned.is_set()

    def condemn(self, _verdict: str) -> None:
        self.condemned.set()


def test_server_without_a_control_channel_is_asked_again() -> None:
    server = StartingServer()
    probe = LivenessProbe(lambda: cast(ServerProcess, server), [], 0.05)
    probe.start()
    try:
        assert server.condemned.wait(TIMEOUT_S)
    finally:
        probe.stop()
