# SPDX-License-Identifier: Apache-2.0
"""The application is asked to end while it is asked for answers."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from benchmarks import process_tree
from benchmarks.faults.asking import HUNG, OK, REFUSED, Ask
from benchmarks.faults.server import Server

__all__ = ["interrupted", "outcomes", "terminated", "terminated_at_rest"]

_SLOW_S: Final = 0.5
_SLOW_CLIENTS: Final = 2
_ENDS_WITHIN_S: Final = 40.0
_POLL_S: Final = 0.02


def terminated(server: Server) -> dict[str, Any]:
    """Send SIGTERM to the process that was started."""
    return _ended(server, signal.SIGTERM)


def terminated_at_rest(server: Server) -> dict[str, Any]:
    """The same while nobody asks."""
    server.asking.stop()
    return _ended(server, signal.SIGTERM, slow_clients=0)


def interrupted(server: Server) -> dict[str, Any]:
    """Send it SIGINT."""
    return _ended(server, signal.SIGINT)


def _ended(server: Server, number: signal.Signals, slow_clients: int = _SLOW_CLIENTS) -> dict[str, Any]:
    with server.clients("slow", _SLOW_S, slow_clients) as slow:
        if not server.notes.wait_for("began", 2 * slow_clients, 15.0):
            raise RuntimeError("the slow function was not asked")
        time.sleep(_SLOW_S / 2)
        os.kill(server.top, number)
        moment = time.monotonic()
        ended_s: float | None = None
        while server.pids and time.monotonic() - moment < _ENDS_WITHIN_S:
            if ended_s is None and server.running.process.poll() is not None:
                ended_s = time.monotonic() - moment
            time.sleep(_POLL_S)
        left = server.pids
        all_s = None if left else time.monotonic() - moment
        if ended_s is None and server.running.process.poll() is not None:
            ended_s = time.monotonic() - moment
    code = server.running.process.poll()
    return {
        "exit_code": code,
        "ended_s": ended_s,
        "all_ended_s": all_s,
        "left": sorted(process_tree.name(pid) for pid in left),
        **outcomes([*slow.asks, *server.asking.stop()], moment),
    }


def outcomes(asks: Iterable[Ask], moment: float) -> dict[str, Any]:
    """What became of the requests that were on their way at a moment, and of those after it."""
    given = [ask for ask in asks if ask.ended >= moment]
    before = [ask for ask in given if ask.began < moment]
    after = Counter(ask.outcome for ask in given if ask.began >= moment)
    return {
        "in_flight": len(before),
        "answered": sum(ask.outcome == OK for ask in before),
        "lost": dict(Counter(ask.outcome for ask in before if ask.outcome != OK)),
        "later_refused": after.pop(REFUSED, 0),
        "later_hung": after.pop(HUNG, 0),
        "later_answered": after.pop(OK, 0),
        "later_failed": dict(after),
    }
