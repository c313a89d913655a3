# SPDX-License-Identifier: Apache-2.0
"""Very many requests: memory must stay where it was after the first thousand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from benchmarks import process_tree
from benchmarks.loads import Load
from benchmarks.measure.counts import Counts
from benchmarks.measure.generators import Generators
from benchmarks.profiles import FULL, Profile
from benchmarks.results import Soak, SoakPoint
from benchmarks.running import Running
from benchmarks.subjects import Subject

__all__ = ["run_soak"]

_FIRST = 1_000
_SLICE_S = 20
_SMALL = Load("soak-small", "4 floats over HTTP JSON, c=32", "wrk", "identity", 32, 4, 4)
_LARGE = Load("soak-large", "1 MB over gRPC, c=8", "perf_analyzer", "identity", 8, 250_000, 4)


def run_soak(
    subject: Subject,
    small: int,
    large: int,
    generators: Generators,
    directory: Path,
    say: Callable[[str], None],
) -> list[Soak]:
    """Send `small` requests of 16 bytes, and to a fresh server `large` ones of 1 MB."""
    found = []
    for load, kind, wanted in ((_SMALL, "small", small), (_LARGE, "large", large)):
        if wanted <= 0:
            continue
        server = Running(subject, directory / subject.name, ("identity",))
        try:
            server.wait_answered()
            points = _points(server, load, wanted, generators, say)
        finally:
            server.stop()
        found.append(Soak(subject.name, kind, load.tensor_bytes, wanted, points))
    return found


def _points(
    server: Running, load: Load, wanted: int, generators: Generators, say: Callable[[str], None]
) -> list[SoakPoint]:
    points: list[SoakPoint] = []
    # The first thousand take a moment only; after that, slices with a look at the memory between them.
    short = dataclasses.replace(FULL, wrk_seconds=1, window_ms=300)
    long = dataclasses.replace(FULL, wrk_seconds=_SLICE_S, window_ms=_SLICE_S * 1000 // 3)
    done = _send_until(server, load, _FIRST, short, generators)
    points.append(_look(server, done))
    while done < wanted:
        done = _send_until(server, load, done + 1, long, generators)
        points.append(_look(server, done))
        memory = f"{points[-1].rss_bytes / 1e6:.1f} MB"
        say(f"{load.name} on {server.subject.name}: {done:,} of {wanted:,}, {memory}")
    return points


def _send_until(server: Running, load: Load, wanted: int, profile: Profile, generators: Generators) -> int:
    served = _served(server, load)
    while served < wanted:
        generators.send(load, server, profile)
        now = _served(server, load)
        if now == served:
            raise RuntimeError(f"{load.name}: {server.subject.name} answers no more after {served} requests")
        served = now
    return served


def _served(server: Running, load: Load) -> int:
    counts = Counts.read(server, load.model)
    if counts is None:
        raise RuntimeError(f"{server.subject.name} does not count its requests")
    return counts.requests


def _look(server: Running, requests: int) -> SoakPoint:
    usages = [usage for pid in server.pids if (usage := process_tree.usage(pid))]
    return SoakPoint(requests, sum(u.rss_bytes for u in usages), sum(u.pss_bytes for u in usages))
