# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic for so long, with servers that are killed, and a look at what it left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pytriton.triton import Limits, RestartPolicy
from tests.chaos.traffic import Traffic, models
from tests.helpers.gate import wait_until
from tests.helpers.processes import children, descriptors, memory, server_of, servers_of, threads, watching
from tests.helpers.server import running

__all__ = ["Look", "Outcome", "run_soak"]

_SETTLED_S: Final = 30.0


@dataclass
class Look:
    """What this process, with its clients and workers, and the server have at a time between two parts."""

    seconds: float
    app_rss: int
    server_rss: int
    app_descriptors: int
    server_descriptors: int
    app_threads: int
    server_threads: int
    processes: int

    @classmethod
    def take(cls, began: float) -> Look:
        """Look now."""
        app, server = os.getpid(), server_of(os.getpid())
        return cls(
            time.monotonic() - began,
            memory(app)["VmRSS"],
            memory(server)["VmRSS"],
            descriptors(app),
            descriptors(server),
            threads(app),
            threads(server),
            len(children(app)),
        )


@dataclass
class Outcome:
    """What there was."""

    looks: list[Look] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    kills: int = 0


def run_soak(
    parts: int,
    part_s: float,
    *,
    clients_of_a_kind: int = 2,
    kill_every: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Send mixed traffic in parts; in the middle of each `kill_every`th one the server is killed.

    Between two parts nobody asks, so that what is still there then has been left behind.
    """
    outcome = Outcome()
    policy = RestartPolicy(max_restarts=1_000_000, period_s=1.0, delay_s=0.0)
    # The bundled server may keep a model whose streams were cancelled from being unloaded.
    limits = Limits(drain_timeout_s=2.0)
    with running(*models(), restart_policy=policy, limits=limits) as server:
        began = time.monotonic()
        for part in range(parts):
            traffic = Traffic(server, seed=part)
            traffic.start(clients_of_a_kind)
            time.sleep(part_s / 2)  # the length of the part is what is asked for
            if kill_every and part % kill_every == 0:
                _kill_server()
                outcome.kills += 1
            time.sleep(part_s / 2)
            traffic.stop()
            outcome.wrong += traffic.problems()
            for name, count in traffic.counts.items():
                outcome.counts[name] = outcome.counts.get(name, 0) + count
            wait_until(lambda: servers_of(os.getpid()) != [], "a server")
            outcome.looks.append(_settled(outcome.looks, began))
            say(f"{outcome.looks[-1]} {len(outcome.wrong)} wrong")
    return outcome


def _settled(before: list[Look], began: float) -> Look:
    """A look when connections have been closed, which takes the server a moment."""
    deadline = time.monotonic() + _SETTLED_S
    while True:
        look = Look.take(began)
        if not before or time.monotonic() > deadline:
            return look
        first = before[0]
        if look.server_descriptors <= first.server_descriptors + 4 and look.app_threads <= first.app_threads:
            return look
        time.sleep(0.05)


def _kill_server() -> None:
    with watching(server_of(os.getpid())) as process:
        process.kill()
        process.gone(_SETTLED_S)
