# SPDX-License-Identifier: Apache-2.0
"""The processes of a load: started together, counting the same span of time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from pytriton.bench.early import EarlyLook, check, early_s
from pytriton.bench.plan import NS_PER_S, Plan, Seen
from pytriton.client.exceptions import PyTritonClientConnectionError, PyTritonClientError

__all__ = ["default_processes", "run_load", "split"]

_HEAD_START_S: Final = 0.05
_TICK_S: Final = 0.1


def default_processes(concurrency: int) -> int:
    """As many as have a request to carry and a core to run on beside the server."""
    return max(1, min(concurrency, (os.cpu_count() or 2) // 2))


def split(plan: Plan, processes: int) -> list[Plan]:
    """The parts of a load, as even as can be."""
    count = min(processes, plan.concurrency)
    shares = [plan.concurrency // count + (part < plan.concurrency % count) for part in range(count)]
    return [
        dataclasses.replace(plan, concurrency=share, rate=plan.rate * share / plan.concurrency)
        for share in shares
    ]


def run_load(plans: Sequence[Plan], progress: Callable[[float], object] | None = None) -> list[Seen]:
    """Run the parts of a load at the same time; AllFailedError if no request of the warm-up is answered.

    Args:
        plans: A plan for each process.
        progress: Called ten times a second with the seconds that have passed of warm-up and measurement.
    """
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(_Member(plan)) for plan in plans]
        for member in members:
            member.wait_connected()
        start = time.monotonic_ns() + int(_HEAD_START_S * NS_PER_S)
        for member in members:
            member.start(start)
        progress = progress or _ignore
        if (seconds := early_s(plans[0])) is not None:
            _report(start, seconds, progress)
            check([member.early_look() for member in members], seconds)
        _report(start, plans[0].warmup_s + plans[0].duration_s, progress)
        return [member.seen() for member in members]


def _report(start: int, total_s: float, progress: Callable[[float], object]) -> None:
    while (passed := (time.monotonic_ns() - start) / NS_PER_S) < total_s:
        progress(max(passed, 0.0))
        time.sleep(min(_TICK_S, max(total_s - passed, 0.0)))
    progress(total_s)


def _ignore(_: float) -> None:
    """Nobody wants to know."""


class _Member:
    """One process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytriton.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(plan, self._process.stdin)
            self._process.stdin.flush()

    def wait_connected(self) -> None:
        """Wait until it is ready to send."""
        if trouble := self._read():
            raise PyTritonClientConnectionError(f"No connection to {self._plan.target}: {trouble}.")

    def start(self, at_ns: int) -> None:
        """Let it begin at a time of time.monotonic_ns()."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{at_ns}\n".encode())
        self._process.stdin.flush()

    def early_look(self) -> EarlyLook:
        """What it has seen until the warm-up was over."""
        found: EarlyLook = self._read()
        return found

    def seen(self) -> Seen:
        """What it has seen, once it has ended."""
        found: Seen = self._read()
        return found

    def __enter__(self) -> _Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        try:
            return pickle.load(self._process.stdout)
        except EOFError:
            raise PyTritonClientError(
                f"A process of the load generator ended with exit code {self._process.wait()}."
            ) from None
