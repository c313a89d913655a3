# SPDX-License-Identifier: Apache-2.0
"""Counts the copies of one full dynamic batch: 128 requests that wait for one another."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure.counts import Counts
from benchmarks.results import FullBatch
from benchmarks.running import Running
from benchmarks.subjects import Subject

__all__ = ["measure_full_batch"]

_ROWS = 128
_ELEMENTS = (4, 1_000, 25_000)  # below, around and above the size from which results may stay where they are
_MODEL = "full_batch"


def measure_full_batch(subject: Subject, directory: Path) -> list[FullBatch]:
    """Return the copies for several tensor sizes."""
    server = Running(subject, directory / subject.name, ("identity", _MODEL))
    try:
        server.wait_answered()
        server.wait_ready()
        return [_one_batch(server, elements) for elements in _ELEMENTS]
    finally:
        server.stop()


def _one_batch(server: Running, elements: int) -> FullBatch:
    before = Counts.read(server, _MODEL)
    _send_together(server.endpoints.http, elements)
    after = Counts.read(server, _MODEL)
    if before is None or after is None:
        raise RuntimeError(f"{server.subject.name} has no statistics")
    delta = after - before
    if (delta.requests, delta.batches) != (_ROWS, 1):
        raise RuntimeError(f"wanted one batch of {_ROWS} requests, got {delta.batches} of {delta.requests}")
    total = _ROWS * elements * 4
    return FullBatch(_ROWS, elements * 4, delta.copied_in / total, delta.copied_out / total)


def _send_together(port: int, elements: int) -> None:
    # Nothing waits for an answer before all requests are out; a connection ends with its one answer.
    tensor = {"name": "INPUT_1", "shape": [1, elements], "datatype": "FP32", "data": [1.0] * elements}
    body = json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()
    head = (
        f"POST /v2/models/{_MODEL}/infer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(_ROWS)
        ]
        for client in clients:
            client.sendall(head.encode() + body)
        for client in clients:
            with client.makefile("rb") as stream:
                answer = stream.read()
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a request of the full batch was answered with {answer[:300]!r}")
