# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.clients [--rounds 7] [--only PATTERN]`."""

from __future__ import annotations

import argparse
import fnmatch
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.child_server import child_server
from benchmarks.clients.contestants import Ports
from benchmarks.clients.contests import Contest, contests

__all__: list[str] = []

_IMPORT = (
    "from time import perf_counter as now; begin = now(); import pytriton.client.client; print(now() - begin)"
)
_IMPORT_LIMIT_S = 0.15


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="*", help="pattern of the contests' names")
    options = parser.parse_args()
    print(f"{'':52} {'ours':>10} {'peer':>10}  ratio [lowest, highest]  wanted")
    with child_server("benchmarks.clients.server") as (http, grpc, _):
        ports = Ports(http, grpc)
        kept = [each for each in contests(ports) if fnmatch.fnmatch(each.name, options.only)]
        met = [_report(contest, options.rounds) for contest in kept]
    seconds = min(_import_s() for _ in range(options.rounds))
    print(f"{'import of every client':52} {seconds:9.3f}s {'':36} <= {_IMPORT_LIMIT_S}")
    return 0 if all(met) and seconds <= _IMPORT_LIMIT_S else 1


def _report(contest: Contest, rounds: int) -> bool:
    times = []
    for number in range(-1, rounds):
        sides = [contest.ours, contest.peer]
        # Who comes second finds the caches warm; they take turns.
        taken = [_time(side, contest.repeat) for side in (sides if number % 2 else sides[::-1])]
        if number >= 0:  # the first round is not counted
            times.append(taken if number % 2 else taken[::-1])
    ratios = sorted(peer / ours for ours, peer in times)
    middle = statistics.median(ratios)
    ours, peer = (statistics.median(side) for side in zip(*times, strict=True))
    verdict = "" if middle >= contest.least else "  MISSED"
    print(
        f"{contest.name:52} {1e3 * ours:8.3f}ms {1e3 * peer:8.3f}ms  {middle:5.2f} "
        f"[{ratios[0]:.2f}, {ratios[-1]:.2f}]  >= {contest.least:.2f}{verdict}",
        flush=True,
    )
    return middle >= contest.least


def _time(ask: Callable[[], object], repeat: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeat):
        ask()
    return (time.perf_counter() - begin) / repeat


def _import_s() -> float:
    return float(subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(_main())
