# SPDX-License-Identifier: Apache-2.0
"""What comes to the HTTP port: other forms of requests, and what is none."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.helpers.server import LOCAL, TIMEOUT_S, Server, running
from tests.helpers.strict_models import check_serves, models, tensor_of

_HEAD: Final = b"POST /v2/models/vector/infer HTTP/1.1\r\nHost: test\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*models()) as server:
        yield server


@pytest.fixture(autouse=True)
def serves_the_next_request(server: Server) -> Iterator[None]:
    """Whatever a test did, every model answers afterwards."""
    yield
    check_serves(server)


def _exchange(server: Server, data: bytes) -> bytes:
    """What comes back until the server hangs up, which it does once it has read the end."""
    received = b""
    connection = socket.create_connection((LOCAL, server.http_port), TIMEOUT_S)
    with connection, contextlib.suppress(ConnectionError):  # it has hung up before
        connection.sendall(data)
        with contextlib.suppress(OSError):  # which is another error here
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(1 << 16):
            received += chunk
    return received


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\2\3\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"POST\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        _HEAD + b"Content-Length: -5\r\n\r\n{}",
        _HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{}",
        _HEAD + b"Content-Length: 5000\r\n\r\n{}",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        _HEAD,
    ],
)
def test_what_is_not_http(server: Server, data: bytes) -> None:
    assert b"200 OK" not in _exchange(server, data)


def test_http_in_other_forms(server: Server) -> None:
    body = json.dumps({"inputs": [tensor_of()]}).encode()
    length = b"Content-Length: %d\r\n" % len(body)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    for request, answers in (
        (_HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks, 1),
        (_HEAD + b"Expect: 100-continue\r\nConnection: close\r\n" + length + b"\r\n" + body, 1),
        ((_HEAD + length + b"\r\n" + body) * 3, 3),
    ):
        assert _exchange(server, request).count(b'"data":[1.0,2.0]') == answers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_method(server: Server, method: str) -> None:
    assert server.request(method, "/v2/models/vector/infer", b"{}").status == 405


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/vector/", "/v2/models/vector/infer/"])
def test_wrong_path(server: Server, path: str) -> None:
    assert server.post(path, {"inputs": [tensor_of()]}).status == 404


def test_unknown_encoding(server: Server) -> None:
    reply = server.infer("vector", {"inputs": [tensor_of()]}, {"Content-Encoding": "br"})
    assert reply.status == 501
