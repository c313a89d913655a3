# SPDX-License-Identifier: Apache-2.0
"""Processes seen from outside: who descends from whom, what they hold, and when they end."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pytriton.check.parents import parents

__all__ = ["Watch", "children", "descriptors", "memory", "server_of", "servers_of", "threads", "watching"]

_SERVER: Final = "tritonserver"


class Watch:
    """A process that is being watched; its number cannot come to mean another one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def gone(self, timeout_s: float) -> bool:
        """Whether it has ended, or does within the time."""
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        return bool(ready)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    def leave(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)

    def close(self) -> None:
        """End it if it still runs, and stop watching."""
        self.kill()
        self.leave()


@contextmanager
def watching(pid: int) -> Iterator[Watch]:
    """Watch a process for the length of a block; it does not outlive that."""
    watch = Watch(pid)
    try:
        yield watch
    finally:
        watch.close()


def children(pid: int) -> set[int]:
    """The children of a process."""
    return {child for child, parent in parents().items() if parent == pid}


def servers_of(pid: int) -> list[int]:
    """The servers that a process has started."""
    return [child for child in children(pid) if _name(child) == _SERVER]


def server_of(pid: int) -> int:
    """The one server that a process has started."""
    (server,) = servers_of(pid)
    return server


def memory(pid: int) -> dict[str, int]:
    """Memory of a process in bytes, by the names that the kernel has for it."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines if line.endswith(" kB")]
    return {name.removesuffix(":"): 1024 * int(number) for name, number, _ in fields}


def descriptors(pid: int) -> int:
    """Number of open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    """Number of threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
