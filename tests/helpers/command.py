# SPDX-License-Identifier: Apache-2.0
"""`pytriton` as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.helpers.server import Address, free_ports

__all__ = ["SERVICE", "Command", "pytriton", "serving_command"]

_TIMEOUT_S: Final = 50.0
SERVICE: Final = """
import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@batch
def scale(values):
    return [values * 2.0]


app = Triton()
app.bind(
    "Scale",
    scale,
    [Tensor(name="values", dtype=np.float32, shape=(-1,))],
    [Tensor(name="scaled", dtype=np.float32, shape=(-1,))],
    config=ModelConfig(max_batch_size=16),
)
"""


def pytriton(
    *arguments: str | Path, cwd: Path | None = None, stdin: str | bytes = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    result = subprocess.run(
        [sys.executable, "-m", "pytriton", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **variables},
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    output, error = result.stdout.decode(), result.stderr.decode()
    return subprocess.CompletedProcess(result.args, result.returncode, output, error)


class Command:
    """A command that runs beside the test."""

    def __init__(
        self, arguments: Sequence[str], cwd: Path, program: Sequence[str] = ("-m", "pytriton")
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # without a terminal, so that SIGHUP is no hang-up
        )
        self.pid = self._process.pid
        self.said = ""

    def expect(self, text: str, timeout_s: float = _TIMEOUT_S) -> str:
        """The line that contains a text, once it is said after what was expected before."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while True:
            before, end, rest = self.said.partition("\n")
            if end:
                self.said = rest
                if text in before:
                    return before
                continue
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(descriptor, 1 << 16) if ready else b""
            assert more, f"it never said {text!r}; last it said {self.said!r}"
            self.said += more.decode()

    def rest(self) -> str:
        """What it has said until its end after what was expected."""
        assert self._process.stdout is not None
        return self.said + self._process.stdout.read().decode()

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal and wait; its exit code."""
        self._process.send_signal(number)
        return self._process.wait(_TIMEOUT_S)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = _TIMEOUT_S) -> int:
        """Its exit code."""
        return self._process.wait(timeout_s)

    def close(self) -> None:
        """End it if it runs."""
        if self._process.poll() is None:
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def serving_command(cwd: Path, *arguments: str) -> Iterator[tuple[Command, Address, dict[str, Any]]]:
    """`pytriton serve --json` on free ports; the command, where it answers, what it said."""
    ports = free_ports(3)
    options = [f"--{name}-port={port}" for name, port in zip(("http", "grpc", "metrics"), ports, strict=True)]
    command = Command(["serve", *arguments, "--json", *options, "--metrics-interval-ms=100"], cwd)
    with contextlib.closing(command), contextlib.closing(Address(*ports)) as address:
        yield command, address, json.loads(command.expect('"endpoints"'))
