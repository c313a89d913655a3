# SPDX-License-Identifier: Apache-2.0
"""A server of a benchmark of its own, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.ports import free_ports

__all__ = ["child_server"]


@contextlib.contextmanager
def child_server(module: str) -> Iterator[list[int]]:
    """Run a module that takes three ports, says "ready" and serves until its standard input ends.

    Args:
        module: Its name.

    Yields:
        Its ports: HTTP, gRPC, metrics.
    """
    ports = free_ports(3)
    command = [sys.executable, "-m", module, *map(str, ports)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the server did not start")
            yield ports
        finally:
            process.stdin.close()
