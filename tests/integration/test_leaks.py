# SPDX-License-Identifier: Apache-2.0
"""Many requests leave both processes as they were after the first of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.helpers.clients import inputs_for
from tests.helpers.processes import descriptors, memory, threads
from tests.helpers.program import Program, started
from tests.helpers.server import LOCAL, Address
from tests.helpers.vectors import TIMEOUT_S, document

MEGABYTE = 1 << 20
CLIENTS = 4


class Usage(NamedTuple):
    """What a process uses."""

    anonymous: int
    shared: int
    descriptors: int
    threads: int


def usage(pid: int) -> Usage:
    found = memory(pid)
    return Usage(found["RssAnon"], found["RssShmem"], descriptors(pid), threads(pid))


def assert_steady(before: Usage, after: Usage, megabytes: int) -> None:
    assert after.anonymous - before.anonymous < megabytes * MEGABYTE
    assert after.shared - before.shared < megabytes * MEGABYTE
    # The server closes connections a moment after their clients.
    assert after.descriptors <= before.descriptors + CLIENTS
    assert after.threads <= before.threads


class Clients:
    """Connections that stay, each used by a thread of its own."""

    def __init__(self, address: Address) -> None:
        self._connections = [
            http.client.HTTPConnection(LOCAL, address.http_port, timeout=TIMEOUT_S) for _ in range(CLIENTS)
        ]

    def ask(self, model: str, count: int) -> None:
        """Send so many small requests; all of them are answered, and rightly."""
        answered: list[int] = []
        askers = [
            threading.Thread(target=self._ask, args=(connection, model, count // CLIENTS, answered))
            for connection in self._connections
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert sum(answered) == count

    def _ask(
        self, connection: http.client.HTTPConnection, model: str, count: int, answered: list[int]
    ) -> None:
        body = json.dumps(document(1, 2, 3)).encode()
        right = 0
        for _ in range(count):
            connection.request("POST", f"/v2/models/{model}/infer", body)
            right += b'"data":[2.0,4.0,6.0]' in connection.getresponse().read()
        answered.append(right)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def both(program: Program) -> tuple[Usage, Usage]:
    assert program.server is not None
    return usage(program.watch.pid), usage(program.server.pid)


def test_small_requests(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program, contextlib.closing(Clients(program.address)) as clients:
        clients.ask("double", 400)
        before = both(program)
        clients.ask("double", 10_000)
        for first, last in zip(before, both(program), strict=True):
            assert_steady(first, last, megabytes=4)


def ask_big(client: Any, count: int) -> None:
    array = np.ones((1, MEGABYTE // 4), np.float32)
    for value in range(count):
        array[:] = value
        output = client.infer("double", inputs_for("binary", {"INPUT_1": array})).as_numpy("OUTPUT_1")
        assert (output == 2 * value).all()


def test_big_requests(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program, contextlib.closing(program.address):
        client = program.address.http()
        ask_big(client, 20)
        before = both(program)
        ask_big(client, 200)
        for first, last in zip(before, both(program), strict=True):
            assert_steady(first, last, megabytes=8)


def test_failing_requests(tmp_path: Path) -> None:
    with started("fails", tmp_path) as program:
        for _ in range(100):
            assert program.address.infer("failing", document(1)).status == 500
        before = both(program)
        for _ in range(500):
            assert program.address.infer("failing", document(1)).status == 500
        for first, last in zip(before, both(program), strict=True):
            assert_steady(first, last, megabytes=4)


def test_connections_that_come_and_go(tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        for _ in range(50):
            assert program.address.get("/v2/health/ready").status == 200
        before = both(program)
        for _ in range(500):
            assert program.address.infer("double", document(1)).status == 200
        for first, last in zip(before, both(program), strict=True):
            assert_steady(first, last, megabytes=4)
