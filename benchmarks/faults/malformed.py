# SPDX-License-Identifier: Apache-2.0
"""Requests that are none: broken JSON, a wrong shape, lengths that lie."""

from __future__ import annotations

import json
import socket
import time
from typing import Any, Final

from benchmarks.faults.asking import OK
from benchmarks.faults.contestants import path
from benchmarks.faults.server import Server

__all__ = ["malformed"]

_WAIT_S: Final = 3.0
_PATIENCE_S: Final = 10.0
_NOTHING: Final = "no answer"


def malformed(server: Server) -> dict[str, Any]:
    """Send each, and see whether the others are answered as before."""
    facts: dict[str, Any] = {}
    for name, (headers, content, length) in _requests(server).items():
        begin = time.monotonic()
        status, words = _send(server, headers, content, length)
        time.sleep(1.0)
        later = [ask for ask in server.asking.asks if ask.ended >= begin]
        facts[name] = {
            "status": status,
            "words": words,
            "others_failed": sum(ask.outcome != OK for ask in later),
            "serves_after": _serves(server),
        }
    return facts


def _serves(server: Server) -> bool:
    """Whether all clients are answered from now on."""
    begin = time.monotonic()
    while time.monotonic() - begin < _PATIENCE_S:
        time.sleep(0.1)
        if server.asking.well_since(begin):
            return True
    return False


def _requests(server: Server) -> dict[str, tuple[dict[str, str], bytes, int | None]]:
    """Headers, body, and a length that is not that of the body."""
    broken = b'{"inputs": [{"name": "INPUT_1"'
    if not server.subject.speaks_v2:
        wrong = json.dumps({"OTHER": [[1.0]]}).encode()
        return {
            "broken_json": ({}, broken, None),
            "wrong_content": ({}, wrong, None),
            "content_length_above": ({}, broken, 1000),
        }
    tensor = {"name": "INPUT_1", "shape": [1, 4], "datatype": "FP32"}
    three = json.dumps({"inputs": [tensor | {"data": [1.0, 2.0, 3.0]}]}).encode()

    def binary(size: int) -> bytes:
        return json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": size}}]}).encode()

    def headers(length: int) -> dict[str, str]:
        return {"Inference-Header-Content-Length": str(length)}

    data = bytes(16)
    above, below, right = binary(1000), binary(4), binary(16)
    return {
        "broken_json": ({}, broken, None),
        "wrong_content": ({}, three, None),
        "binary_size_above": (headers(len(above)), above + data, None),
        "binary_size_below": (headers(len(below)), below + data, None),
        "header_length_above": (headers(100_000), right + data, None),
        "content_length_above": ({}, broken, 1000),
    }


def _send(server: Server, headers: dict[str, str], content: bytes, length: int | None) -> tuple[str, str]:
    lines = [
        f"POST {path(server.subject, 'identity')} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(content) if length is None else length}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=_WAIT_S) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        received = b""
        deadline = time.monotonic() + _WAIT_S
        try:
            while time.monotonic() < deadline and (part := connection.recv(65536)):
                received += part
                if _is_whole(received):
                    break
        except TimeoutError:
            pass
        except OSError:
            return "connection cut", ""
    if not received:
        return _NOTHING, ""
    head, _, text = received.partition(b"\r\n\r\n")
    return f"status {head.split()[1].decode()}", text.decode(errors="replace")[:300]


def _is_whole(received: bytes) -> bool:
    head, separator, text = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return bool(separator) and len(text) >= int(line.split(b":")[1])
    return False
