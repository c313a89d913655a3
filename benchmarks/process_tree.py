# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of a process and all its descendants, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ProcessUsage",
    "alive",
    "channel_bytes",
    "cpu_seconds",
    "descendants",
    "name",
    "session",
    "started",
    "usage",
]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessUsage:
    """Memory of one process; PSS shares every common page among those who map it, so PSS may be summed."""

    pid: int
    name: str
    pss_bytes: int
    rss_bytes: int


def descendants(root: int) -> list[int]:
    """Return `root` and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(int(entry.name))
            if stat is not None and stat[0] != "Z":
                parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found, pending = [], [root]
    while pending:
        pid = pending.pop()
        if alive(pid):
            found.append(pid)
        pending += parents.get(pid, [])
    return found


def session(leader: int) -> list[int]:
    """Return the living processes of a session, whose parents need not live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(int(entry.name))
            if stat is not None and stat[0] != "Z" and int(stat[3]) == leader:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    """Say whether `pid` runs; a zombie does not."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def started(pid: int) -> int | None:
    """Return when `pid` was started, in ticks since boot: the number may be another's later."""
    stat = _stat(pid)
    return None if stat is None or stat[0] == "Z" else int(stat[19])


def name(pid: int) -> str:
    """Return what the kernel calls a process; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def cpu_seconds(pids: list[int]) -> float:
    """Return user and system time of these processes together."""
    ticks = 0
    for pid in pids:
        stat = _stat(pid)
        if stat is not None:
            ticks += int(stat[11]) + int(stat[12])
    return ticks / _TICKS_PER_SECOND


def usage(pid: int) -> ProcessUsage | None:
    """Return the memory of one process, or None where it has gone."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}
    return ProcessUsage(pid, name, fields.get("Pss", 0), fields.get("Rss", 0))


def channel_bytes(pid: int) -> int:
    """Return this process's proportional share of memory-file mappings: the channel to the server."""
    total, counting = 0, False
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    for line in lines:
        first = line.split(maxsplit=1)[0]
        if not first.endswith(":"):
            counting = "/memfd:" in line
        elif counting and first == "Pss:":
            total += int(line.split()[1]) * 1024
    return total


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    return text[text.rindex(")") + 2 :].split()
