# SPDX-License-Identifier: Apache-2.0
"""Clients across forks and at the end of the interpreter: nothing hangs, nothing complains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.client_programs import PROGRAMS
from tests.helpers.clients import Array
from tests.helpers.gate import Gate, wait_until
from tests.helpers.server import LOCAL, Model, Server, running

_ROOT: Final = Path(__file__).parents[2]
_TIMEOUT_S: Final = 15.0  # requests at the gate would wait longer
# gRPC warns of forks, and says at the end of a process what it had to give up.
_NOISE: Final = ("fork", "DeprecationWarning", "self.pid", "E0000", "I0000", "WARNING: All log messages")
gate = Gate()


@batch
def double(x: Array) -> dict[str, Array]:
    return {"x_out": 2 * x}


@batch
def slow(x: Array) -> dict[str, Array]:
    gate.pass_through()
    return {"x_out": 2 * x}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    x, y = [Tensor((-1,), np.float32, "x")], [Tensor((-1,), np.float32, "x_out")]
    config = ModelConfig(max_batch_size=8)
    models = [Model(each.__name__, each, x, y, config) for each in (double, slow)]
    with running(*models) as running_server:
        yield running_server


# gRPC itself does not survive a fork while other threads are in calls.
_CASES: Final = [
    (name, protocol)
    for name in PROGRAMS
    for protocol in ("http", "grpc")
    if (name, protocol) != ("forked_while_busy", "grpc")
]


@pytest.mark.parametrize(("name", "protocol"), _CASES)
def test_program(server: Server, name: str, protocol: str) -> None:
    port = server.http_port if protocol == "http" else server.grpc_port
    command = [sys.executable, "-m", "tests.helpers.client_programs", name, f"{protocol}://{LOCAL}:{port}"]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "PYTHONPATH": str(_ROOT)}
    gate.shut()
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    finally:
        gate.open()
    complaints = [
        line for line in done.stderr.splitlines() if line.strip() and not any(n in line for n in _NOISE)
    ]
    killed = -signal.SIGKILL if name == "memory_killed" else 0
    assert (done.returncode, done.stdout) == (killed, "done\n"), done.stderr
    assert not complaints
    assert not list(Path("/dev/shm").glob("pytriton-client-*"))
    if name.startswith("memory"):
        # What a process left behind that was killed, or had requests under way, the next one clears away.
        with ModelClient(f"{protocol}://{LOCAL}:{port}", "double", shared_memory="always") as client:
            wait_until(lambda: _only_its_own(server, client), "only the client's own regions")
    assert _regions(server) == []


def _only_its_own(server: Server, client: ModelClient) -> bool:
    client.infer_sample([1, 2])
    return len(_regions(server)) <= 2


def _regions(server: Server) -> list[str]:
    return [region["name"] for region in server.get("/v2/systemsharedmemory/status").json]
