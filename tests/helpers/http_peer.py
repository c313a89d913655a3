# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that answers what tests tell it to, right or wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tests.helpers.server import LOCAL, TIMEOUT_S

__all__ = ["CONFIG", "Heard", "HttpPeer", "answer", "config_or", "http_peer", "tensor_answer"]

CONFIG: Final = {
    "name": "m",
    "max_batch_size": 4,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1]}],
}


class Heard(NamedTuple):
    """A request that has come."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Heard, socket.socket], bytes | None]


def answer(
    document: Any = None, status: str = "200 OK", *, body: bytes | None = None, headers: str = ""
) -> bytes:
    """A whole answer; `headers` are lines with their line ends."""
    if body is None:
        body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def tensor_answer(data: bytes, *, said: int | None = None, headers: str = "") -> bytes:
    """An answer with one FP32 tensor of shape [1, n] in binary form, which says it has `said` bytes."""
    size = len(data) if said is None else said
    output = {
        "name": "y",
        "datatype": "FP32",
        "shape": [1, size // 4],
        "parameters": {"binary_data_size": size},
    }
    head = json.dumps({"outputs": [output]}).encode()
    return answer(body=head + data, headers=f"Inference-Header-Content-Length: {len(head)}\r\n{headers}")


def config_or(script: Script) -> Script:
    """A script that gives the model's configuration itself."""

    def run(heard: Heard, connection: socket.socket) -> bytes | None:
        return answer(CONFIG) if heard.path.endswith("/config") else script(heard, connection)

    return run


class HttpPeer:
    """The server; a script that returns None closes the connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.heard: list[Heard] = []
        self.connections = 0
        self._socket = socket.create_server((LOCAL, 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{LOCAL}:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """End it and its connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as reader:
            while request := reader.readline().decode():
                method, path, _ = request.split()
                headers = {}
                while line := reader.readline().decode("latin-1").strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                body = reader.read(int(headers.get("content-length", 0)))
                heard = Heard(method, path, headers, body)
                self.heard.append(heard)
                reply = self.script(heard, connection)
                if reply is None:
                    return
                connection.sendall(reply)


@contextlib.contextmanager
def http_peer(script: Script) -> Iterator[HttpPeer]:
    """A peer for the length of a block."""
    peer = HttpPeer(script)
    with contextlib.closing(peer):
        yield peer
