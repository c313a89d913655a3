# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.workers [--rounds 7] [--seconds 3]`."""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.child_server import child_server
from pytriton.client import ModelClient

__all__: list[str] = []

_ECHOES = ("echo-thread", "echo-1", "echo-2")
_BUSY = ("busy-1", "busy-2", "busy-threads")
_CALLERS = 8
_LEAST_GAIN = 1.8
_MOST_LATENCY = 1.05


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one turn of the busy function")
    parser.add_argument("--requests", type=int, default=2000, help="of one turn of the echo")
    options = parser.parse_args()
    with child_server("benchmarks.workers.server") as (http, *_):
        url = f"http://127.0.0.1:{http}"
        rates = _rounds(options.rounds, _BUSY, lambda model: _rate(url, model, options.seconds))
        latencies = _rounds(options.rounds, _ECHOES, lambda model: _latency_s(url, model, options.requests))
    print(f"{'':44} {'median':>10}  ratio [lowest, highest]  wanted")
    for model in _BUSY:
        print(f"{f'requests/s, GIL held for 10 ms: {model}':44} {statistics.median(rates[model]):10.1f}")
    met = [_report("two processes over one", rates["busy-2"], rates["busy-1"], least=_LEAST_GAIN)]
    for model in _ECHOES:
        print(f"{f'latency of the echo, us: {model}':44} {1e6 * statistics.median(latencies[model]):10.1f}")
    base = latencies["echo-thread"]
    met.append(_report("one process over a thread", latencies["echo-1"], base, most=_MOST_LATENCY))
    met.append(
        _report("two processes over one", latencies["echo-2"], latencies["echo-1"], most=_MOST_LATENCY)
    )
    return 0 if all(met) else 1


def _rounds(count: int, models: Sequence[str], measure: Callable[[str], float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {model: [] for model in models}
    for number in range(-1, count):
        # Whoever comes first finds the machine in another state; they take turns.
        order = [*models[number % len(models) :], *models[: number % len(models)]]
        for model in order:
            value = measure(model)
            if number >= 0:  # the first round is not counted
                found[model].append(value)
    return found


def _report(
    name: str, ours: Sequence[float], base: Sequence[float], *, least: float = 0.0, most: float = np.inf
) -> bool:
    ratios = sorted(one / other for one, other in zip(ours, base, strict=True))
    middle = statistics.median(ratios)
    wanted = f">= {least:.2f}" if least else f"<= {most:.2f}"
    verdict = "" if least <= middle <= most else "  MISSED"
    print(
        f"{name:44} {'':10}  {middle:5.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]  {wanted}{verdict}", flush=True
    )
    return least <= middle <= most


def _rate(url: str, model: str, seconds: float) -> float:
    """Requests a second of callers that do not wait for one another."""
    end = time.perf_counter() + seconds
    counts = [0] * _CALLERS

    def ask_on(number: int) -> None:
        with ModelClient(url, model) as client:
            x = np.ones((1, 4), np.float32)
            while time.perf_counter() < end:
                client.infer_batch(x)
                counts[number] += 1

    threads = [threading.Thread(target=ask_on, args=(number,)) for number in range(_CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def _latency_s(url: str, model: str, requests: int) -> float:
    """The median of requests one after the other."""
    x = np.ones((1, 4), np.float32)
    times = []
    with ModelClient(url, model) as client:
        client.infer_batch(x)
        for _ in range(requests):
            begin = time.perf_counter()
            client.infer_batch(x)
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(_main())
