# SPDX-License-Identifier: Apache-2.0
"""Programs of `examples/`, run as their README says: a server, its client, Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.helpers.gate import wait_until
from tests.helpers.server import Address, free_ports

__all__ = ["EXAMPLES", "run_pair", "run_script", "running", "running_program", "serving"]

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
_TIMEOUT_S: Final = 50.0
_NAMES: Final = ("HTTP", "GRPC", "METRICS")


def environment(ports: Sequence[int]) -> dict[str, str]:
    """Variables that give a server its ports."""
    settings = {
        f"PYTRITON_TRITON_CONFIG_{name}_PORT": str(port) for name, port in zip(_NAMES, ports, strict=True)
    }
    return {**os.environ, **settings, "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def serving(example: str) -> Iterator[Address]:
    """The server of an example, which must end well by Ctrl-C."""
    ports = free_ports(len(_NAMES))
    with running(example, "server.py", ports=ports), contextlib.closing(Address(*ports)) as address:
        yield address


@contextlib.contextmanager
def running(example: str, script: str, *arguments: str, ports: Sequence[int]) -> Iterator[None]:
    """A program that serves, which must end well by Ctrl-C."""
    with running_program([sys.executable, str(EXAMPLES / example / script), *arguments], ports):
        yield


@contextlib.contextmanager
def running_program(command: Sequence[str], ports: Sequence[int]) -> Iterator[None]:
    """A command that serves on these ports, which must end well by Ctrl-C."""
    program = subprocess.Popen(command, env=environment(ports))
    try:
        yield
        # A model answers a moment before the program comes to serve().
        wait_until(lambda: _heeds_signals(program), "a program in serve()")
        program.send_signal(signal.SIGINT)
        assert program.wait(_TIMEOUT_S) == 0
    finally:
        program.kill()
        program.wait()


def _heeds_signals(program: subprocess.Popen[bytes]) -> bool:
    """Whether a program is in `serve()`, which has a handler of SIGTERM, or has ended."""
    if program.poll() is not None:
        return True
    status = Path(f"/proc/{program.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << signal.SIGTERM - 1)


def run_script(example: str, script: str, *arguments: str, ports: Sequence[int] = ()) -> list[str]:
    """Lines that a program of an example prints."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / example / script), *arguments],
        env=environment(ports) if ports else None,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


def run_pair(example: str, *arguments: str, scheme: str = "http") -> list[str]:
    """What the client of an example prints."""
    with serving(example) as address:
        port = address.grpc_port if scheme == "grpc" else address.http_port
        return run_script(example, "client.py", f"--url={scheme}://127.0.0.1:{port}", *arguments)
