# SPDX-License-Identifier: Apache-2.0
"""One JSON request at a time over loopback HTTP."""

from __future__ import annotations

import http.client
import json
from typing import Any

__all__ = ["get_json", "get_ok", "post", "post_json"]


def get_ok(port: int, path: str, timeout: float = 2.0) -> bool:
    """Say whether a GET is answered with 200."""
    try:
        status, _ = _request(port, "GET", path, None, timeout)
    except (OSError, http.client.HTTPException):
        return False
    return status == 200


def get_json(port: int, path: str, timeout: float = 10.0) -> Any:
    """Return the decoded answer of a GET."""
    status, body = _request(port, "GET", path, None, timeout)
    if status != 200:
        raise OSError(f"GET {path} on port {port} was answered with {status}: {body[:200]!r}")
    return json.loads(body)


def post_json(port: int, path: str, body: bytes, timeout: float = 10.0) -> Any:
    """Return the decoded answer of a POST."""
    return json.loads(post(port, path, body, timeout))


def post(port: int, path: str, body: bytes, timeout: float = 10.0) -> bytes:
    """Return the answer of a POST."""
    status, answer = _request(port, "POST", path, body, timeout)
    if status != 200:
        raise OSError(f"POST {path} on port {port} was answered with {status}: {answer[:200]!r}")
    return answer


def _request(port: int, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
