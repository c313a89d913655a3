# SPDX-License-Identifier: Apache-2.0
"""What worker processes serve in tests: they import it from here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pytriton.decorators import batch
from pytriton.exceptions import PyTritonUnrecoverableError

__all__ = [
    "BEHAVIOURS",
    "Built",
    "Moody",
    "Unhealthy",
    "behave",
    "behave_in_a_loop",
    "broken_constructor",
    "count_up",
    "make_scaler",
    "pid_of",
    "slow_pid",
]

Array = npt.NDArray[Any]


@batch
def pid_of(x: Array) -> dict[str, Array]:
    """The process that answers."""
    return {"pid": np.full((len(x), 1), os.getpid(), np.int64)}


class Built:
    """Made once in each process; answers with what it was made of."""

    def __init__(self, factor: float, *, device: Any = None) -> None:
        logging.getLogger("tests.built").info("built %s on %s", factor, device)
        print(f"printed by {os.getpid()}")
        self._factor = factor
        self._device = device
        self._calls = 0

    @batch
    def __call__(self, x: Array) -> dict[str, Array]:
        """Ask about it."""
        self._calls += 1
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        about = (
            f"{os.getpid()} {self._factor} {self._device} {seen} {os.environ.get('MINE', '')} {self._calls}"
        )
        return {"about": np.array([[about.encode()]] * len(x), np.object_)}


def make_scaler(factor: float, offset: float = 0.0) -> Callable[..., Any]:
    """A factory."""

    @batch
    def scale(x: Array) -> dict[str, Array]:
        return {"y": factor * x + offset}

    return scale


@batch
def count_up(x: Array) -> Iterator[dict[str, Array]]:
    """A stream."""
    for number in range(int(x[0, 0])):
        yield {"y": np.full_like(x, number)}


def _hang() -> None:
    while True:
        time.sleep(0.01)


def _fork() -> None:
    """A child that comes out of the function, and one that stays."""
    if os.fork() == 0:
        time.sleep(1000)
        os._exit(0)
    os.fork()


def _terminate_children() -> None:
    """Processes forked, and a program run: all hear SIGTERM, also those that have hardly begun."""
    for _ in range(50):
        forked = os.fork()
        if forked == 0:
            time.sleep(1000)
            os._exit(0)
        os.kill(forked, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == -signal.SIGTERM
    program = subprocess.Popen(["sleep", "1000"])
    program.terminate()
    assert program.wait() == -signal.SIGTERM


def _block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _raise(error: BaseException) -> None:
    raise error


BEHAVIOURS: Final[dict[str, Callable[[], object]]] = {
    "answer": lambda: None,
    "sys.exit": lambda: sys.exit(3),
    "os._exit": lambda: os._exit(3),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "unrecoverable": lambda: _raise(PyTritonUnrecoverableError("the GPU has gone")),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": os.abort,
    "hang": _hang,
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "fork": _fork,
    "terminate children": _terminate_children,
    "close descriptors": lambda: os.closerange(3, 1000),
    "block signals": _block_signals,
}


@batch
def behave(mood: Array) -> dict[str, Array]:
    """Do what the first request says."""
    BEHAVIOURS[mood[0, 0].decode()]()
    return {"pid": np.full((len(mood), 1), os.getpid(), np.int64)}


@batch
async def behave_in_a_loop(mood: Array) -> dict[str, Array]:
    """The same, on an event loop."""
    await asyncio.sleep(0)
    BEHAVIOURS[mood[0, 0].decode()]()
    return {"pid": np.full((len(mood), 1), os.getpid(), np.int64)}


class Moody:
    """Its constructor does what a file says at the time."""

    def __init__(self, mood: Path) -> None:
        BEHAVIOURS[mood.read_text()]()

    @batch
    def __call__(self, x: Array) -> dict[str, Array]:
        """The process that answers."""
        return {"pid": np.full((len(x), 1), os.getpid(), np.int64)}


class Unhealthy:
    """Well until told otherwise."""

    def __init__(self) -> None:
        self._mood = "well"

    @batch
    def __call__(self, mood: Array) -> dict[str, Array]:
        """Take on a mood."""
        self._mood = mood[0, 0].decode()
        return {"pid": np.full((len(mood), 1), os.getpid(), np.int64)}

    def is_healthy(self) -> bool:
        """A health check."""
        if self._mood == "raise":
            raise RuntimeError("I feel unwell")
        if self._mood == "hang":
            _hang()
        return self._mood != "ill"

    async def is_healthy_async(self) -> bool:
        """The same, as a coroutine."""
        return self.is_healthy()


def broken_constructor(what: str) -> Callable[..., Any]:
    """A factory that fails in this way."""
    if what == "memory":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        hoard = [bytearray(2**26) for _ in range(64)]
        raise AssertionError(len(hoard))
    if what == "raise":
        raise ValueError("no such weights")
    if what == "not callable":
        return 5  # type: ignore[return-value]
    BEHAVIOURS[what]()
    raise AssertionError


@batch
def slow_pid(x: Array) -> dict[str, Array]:
    """The process that answers, after a while, and what was asked."""
    time.sleep(0.01)
    return {"pid": np.concatenate([np.full((len(x), 1), os.getpid()), x], axis=1).astype(np.int64)}
