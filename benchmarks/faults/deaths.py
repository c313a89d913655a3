# SPDX-License-Identifier: Apache-2.0
"""A worker dies, the server dies, the application dies, each by SIGKILL."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import asdict
from typing import Any, Final

from benchmarks import process_tree
from benchmarks.faults.asking import aftermath
from benchmarks.faults.found import NotGiven
from benchmarks.faults.server import Server

__all__ = ["application_dies", "application_dies_at_rest", "server_dies", "worker_dies"]

_PATIENCE_S: Final = 20.0
_LEAST_S: Final = 3.0
_WELL_S: Final = 1.5
_LEFT_AFTER_S: Final = 5.0
_GONE_WITHIN_S: Final = 40.0
_POLL_S: Final = 0.05


def worker_dies(server: Server) -> dict[str, Any]:
    """Kill one of the workers of the model that is asked."""
    workers = server.workers
    if not workers:
        raise NotGiven("there is no such process")
    return _killed(server, workers[0])


def server_dies(server: Server) -> dict[str, Any]:
    """Kill the process that takes the requests."""
    return _killed(server, server.front)


def application_dies(server: Server) -> dict[str, Any]:
    """Kill the process that was started, and look at what outlives it."""
    names = {pid: process_tree.name(pid) for pid in server.pids}
    files = server.files()
    before = _own_files(server)
    os.kill(server.top, signal.SIGKILL)
    moment = time.monotonic()
    soon: list[int] = []
    while (alive := server.pids) and time.monotonic() - moment < _GONE_WITHIN_S:
        if time.monotonic() - moment < _LEFT_AFTER_S:
            soon = alive
        time.sleep(_POLL_S)
    seconds = time.monotonic() - moment
    if seconds < _LEFT_AFTER_S:
        soon = []
    left = sorted(each for each in files if os.path.exists(each))
    return {
        "gone_s": None if alive else seconds,
        "after_5_s": sorted(names.get(pid, "a later process") for pid in soon),
        "shared_memory": sorted(_kind(each) for each in left if each.startswith("/dev/shm/")),
        "temporary": sorted(_kind(each) for each in left if each.startswith("/tmp/")),
        "own_files": len(_own_files(server) & before),
        "listening": server.listening(),
    }


def application_dies_at_rest(server: Server) -> dict[str, Any]:
    """The same while nobody asks."""
    server.asking.stop()
    return application_dies(server)


def _killed(server: Server, pid: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"killed": process_tree.name(pid), "was_first": pid == server.top}
    os.kill(pid, signal.SIGKILL)
    moment = time.monotonic()
    well = False
    none_since: float | None = None
    while (now := time.monotonic()) - moment < _PATIENCE_S:
        if now - moment >= _LEAST_S and server.asking.well_since(now - _WELL_S):
            well = True
            break
        if server.pids:
            none_since = None
        elif none_since is None:
            none_since = now
        elif now - none_since > 1.0:
            break  # nobody is left who could answer
        time.sleep(_POLL_S)
    ended = server.running.process.poll()
    facts |= {"well": well, "exit_code": ended, "all_gone": not server.pids}
    return facts | asdict(aftermath(server.asking.stop(), moment))


def _own_files(server: Server) -> set[str]:
    ignored = {"server.log", "notes", "repository"}
    return {
        str(each)
        for each in server.directory.rglob("*")
        if not each.is_dir() and each.relative_to(server.directory).parts[0] not in ignored
    }


def _kind(path: str) -> str:
    """The name without what differs from one run to the next."""
    path = re.sub(r"/folder\w{6}/", "/folder*/", path)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]*\d[0-9a-f]*", "*", path)
