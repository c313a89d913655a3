# SPDX-License-Identifier: Apache-2.0
"""What must not be left behind: processes, threads, descriptors, directories, mappings."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pytriton.metrics.reporter import reporter
from tests.helpers.processes import children

__all__ = ["no_leaks"]

_PATIENCE_S: Final = 5.0
_POLL_S: Final = 0.01
_OURS: Final = "pytriton"
_MEMORY: Final = "memfd:pytriton"
_SOCKET: Final = "socket:["
# Event loops of client libraries stay for the life of their thread; nothing of ours makes these.
_FOREIGN: Final = ("anon_inode:", "/dev/")


@contextlib.contextmanager
def no_leaks(*homes: Path) -> Iterator[None]:
    """Fail if something is left that was not there before; `homes` are where workspaces are made."""
    before = _everything(homes)
    yield
    deadline = time.monotonic() + _PATIENCE_S
    while left := _everything(homes) - before:
        # Connections of clients and cycles of exceptions go a moment later.
        gc.collect()
        if time.monotonic() > deadline:
            raise AssertionError(f"left behind: {sorted(left)}")
        time.sleep(_POLL_S)


def _everything(homes: tuple[Path, ...]) -> set[str]:
    # Not by its ident, which a thread that is being started has yet to get.
    found = {f"thread {thread.name} {id(thread):#x}" for thread in _threads()}
    found.update(f"child process {pid}" for pid in children(os.getpid()))
    found.update(f"descriptor {number} {target}" for number, target in _descriptors())
    if len(mappings := list(_mappings())) > len(_workers()):
        found.update(mappings)
    found.update(f"directory {path}" for home in homes for path in home.iterdir())
    return found


def _workers() -> list[threading.Thread]:
    # A worker maps its memory once, and soon after the server knows of it.
    return [thread for thread in _threads() if thread.name.rpartition("-")[2].isdecimal()]


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(_OURS)]


def _descriptors() -> Iterator[tuple[str, str]]:
    sockets = _unix_sockets()
    # Metrics are reported as long as there are workers, and only from a moment after they have come.
    reported = {str(place.fileno()) for place in list(reporter._places.values()) if place.connected}
    if reporter._places and (bell := reporter._bell) is not None:
        reported.add(str(bell.fileno()))
    for number in set(os.listdir("/proc/self/fd")) - reported:
        with contextlib.suppress(OSError):  # closed meanwhile, as that of the listing is
            target = os.readlink(f"/proc/self/fd/{number}")
            if target.startswith(f"/{_MEMORY}"):  # of a mapping that is looked at itself
                continue
            # Other sockets are connections that clients keep; a client lives as long as its server.
            known = target in sockets if target.startswith(_SOCKET) else not target.startswith(_FOREIGN)
            if known and target != f"/proc/{os.getpid()}/fd":
                yield number, target


def _unix_sockets() -> set[str]:
    lines = Path("/proc/self/net/unix").read_text().splitlines()[1:]
    return {f"{_SOCKET}{line.split()[6]}]" for line in lines}


def _mappings() -> Iterator[str]:
    for line in Path("/proc/self/maps").read_text().splitlines():
        if _MEMORY in line:
            yield f"mapping {line}"
