# SPDX-License-Identifier: Apache-2.0
"""A client leaves while its long request is computed, or while it waits for its turn."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.faults.asking import HUNG_S, OK, send
from benchmarks.faults.contestants import body, is_answer, path
from benchmarks.faults.server import Server

__all__ = ["client_leaves"]

_LONG_S: Final = 2.0
_FIRST_S: Final = 1.0
_BEGINS_WITHIN_S: Final = 5.0
_MOMENT_S: Final = 0.3


def client_leaves(server: Server) -> dict[str, Any]:
    """Leave by closing an HTTP connection and, where there is one, by cancelling a gRPC call."""
    ways: dict[str, Callable[[Server], Callable[[], None]]] = {"http": _send_http}
    if server.subject.speaks_v2:
        ways["grpc"] = _send_grpc
    facts: dict[str, Any] = {}
    for name, start in ways.items():
        facts[f"{name}_computed"] = _while_computed(server, start)
        facts[f"{name}_queued"] = _while_queued(server, start)
    return facts


def _while_computed(server: Server, start: Callable[[Server], Callable[[], None]]) -> dict[str, Any]:
    began, saw = server.notes.count("began"), server.notes.count("saw")
    leave = start(server)
    if not server.notes.wait_for("began", began + 1, _BEGINS_WITHIN_S):
        raise RuntimeError("the request was not computed")
    time.sleep(_MOMENT_S)
    leave()
    left = time.monotonic()
    outcome = _ask(server, 0.0)
    return {
        "busy_s": time.monotonic() - left,
        "saw": server.notes.count("saw") > saw,
        "next": outcome,
    }


def _while_queued(server: Server, start: Callable[[Server], Callable[[], None]]) -> dict[str, Any]:
    began, saw = server.notes.count("began"), server.notes.count("saw")
    ends: queue.SimpleQueue[float] = queue.SimpleQueue()

    def ask_first() -> None:
        _ask(server, _FIRST_S)
        ends.put(time.monotonic())

    first = threading.Thread(target=ask_first)
    first.start()
    if not server.notes.wait_for("began", began + 1, _BEGINS_WITHIN_S):
        raise RuntimeError("the first request was not computed")
    leave = start(server)
    time.sleep(_MOMENT_S)
    leave()
    time.sleep(0.1)
    outcome = _ask(server, 0.0)
    answered = time.monotonic()
    first.join()
    return {
        "busy_s": max(0.0, answered - ends.get()),
        "saw": server.notes.count("saw") > saw,
        "computed": server.notes.count("began") > began + 2,
        "next": outcome,
    }


def _ask(server: Server, value: float) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG_S)
    try:
        outcome, _ = send(
            connection,
            path(server.subject, "slow"),
            body(server.subject, value),
            lambda answer: is_answer(server.subject, answer, value),
        )
    finally:
        connection.close()
    if outcome != OK:
        raise RuntimeError(f"the next request: {outcome}")
    return outcome


def _send_http(server: Server) -> Callable[[], None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG_S)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", path(server.subject, "slow"), body(server.subject, _LONG_S), headers)
    return connection.close


def _send_grpc(server: Server) -> Callable[[], None]:
    import numpy as np
    from tritonclient.grpc import InferenceServerClient, InferInput

    client = InferenceServerClient(f"127.0.0.1:{server.running.endpoints.grpc}")
    given = InferInput("INPUT_1", [1, 4], "FP32")
    given.set_data_from_numpy(np.full((1, 4), _LONG_S, np.float32))
    call = client.async_infer("slow", [given], lambda result, error: None)

    def leave() -> None:
        call.cancel()
        client.close()

    return leave
