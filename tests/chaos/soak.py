# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic for so long, with servers and workers that are killed, and a look at what it left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pytriton.triton import Limits, RestartPolicy
from pytriton.workers import WorkerState
from tests.chaos.allocated import allocated
from tests.chaos.clients import Clients
from tests.chaos.deaths import Deaths, Kill, is_ready
from tests.chaos.models import IN_PROCESSES, models
from tests.chaos.traffic import Results
from tests.helpers.gate import wait_until
from tests.helpers.processes import children, descriptors, memory, server_of, threads, watching
from tests.helpers.server import Server, running

__all__ = ["Look", "Outcome", "run_soak"]

_SETTLED_S: Final = 30.0
_IDLE_S: Final = 10.0


@dataclass
class Look:
    """What the application, its server and the clients hold between two parts, when nobody asks."""

    seconds: float
    app_blocks: int  # of Python's own allocator, in use
    app_allocated: int  # by malloc, and in use; the application is this process
    app_anonymous: int  # resident memory of its own, with what malloc keeps for later
    app_shared: int  # and of what it shares with the server
    server_rss: int
    clients_rss: int
    app_descriptors: int
    server_descriptors: int
    app_threads: int
    server_threads: int
    processes: int

    @classmethod
    def take(cls, began: float, clients: Clients) -> Look:
        """Look now."""
        app, server = os.getpid(), server_of(os.getpid())
        return cls(
            time.monotonic() - began,
            sys.getallocatedblocks(),
            allocated(),
            memory(app)["RssAnon"],
            memory(app)["RssShmem"],
            memory(server)["VmRSS"],
            memory(clients.pid)["VmRSS"],
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
    kills: list[Kill] = field(default_factory=list)

    def add(self, results: Results, kills: list[Kill]) -> None:
        """Take the results of a part in; what was lost without a reason is wrong."""
        self.kills += kills
        self.wrong += results.wrong
        for name, count in results.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        for lost in results.lost:
            if not any(kill.excuses(*lost) for kill in kills):
                kind, began, ended = lost
                self.wrong.append(f"{kind}: no answer after {ended - began:.2f} s, and nothing was killed")


def run_soak(
    parts: int,
    part_s: float,
    *,
    clients_of_a_kind: int = 2,
    kill_every: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Send mixed traffic in parts; in each `kill_every`th one a worker is killed, and later the server.

    Between two parts nobody asks, so that what is still there then has been left behind.
    """
    outcome = Outcome()
    policy = RestartPolicy(max_restarts=1_000_000, period_s=1.0, delay_s=0.0)
    # The bundled server may keep a model whose streams were cancelled from being unloaded.
    limits = Limits(drain_timeout_s=2.0)
    with (
        running(*models(), restart_policy=policy, limits=limits) as server,
        Clients(server, clients_of_a_kind) as clients,
        Deaths(server) as deaths,
    ):
        began = time.monotonic()
        for part in range(parts):
            clients.start(part)
            kills: list[Kill] = []
            for number in range(2):
                time.sleep(part_s / 3)  # the length of the part is what is asked for
                if kill_every and part % kill_every == 0:
                    kills.append(_kill_worker(server) if number == 0 else _kill_server(server, deaths))
            time.sleep(part_s / 3)
            results = clients.stop()
            outcome.add(results, [*kills, *deaths.take()])
            outcome.looks.append(_settled(outcome.looks, began, clients))
            say(f"{outcome.looks[-1]} {len(outcome.wrong)} wrong")
    return outcome


def _settled(before: list[Look], began: float, clients: Clients) -> Look:
    """A look when connections have been closed, which takes the server a moment."""
    deadline = time.monotonic() + _IDLE_S
    while True:
        look = Look.take(began, clients)
        if not before or time.monotonic() > deadline:
            return look
        first = before[0]
        if look.server_descriptors <= first.server_descriptors + 4 and look.app_threads <= first.app_threads:
            return look
        time.sleep(0.05)


def _kill_server(server: Server, deaths: Deaths) -> Kill:
    at = time.monotonic()
    pid = server_of(os.getpid())
    deaths.expect(pid)
    _kill(pid)
    wait_until(lambda: is_ready(server), "a server that is ready again")
    return Kill("server", at, time.monotonic() - at)


def _kill_worker(server: Server) -> Kill:
    worker, *_ = server.triton.workers(IN_PROCESSES)
    assert worker.pid is not None
    at = time.monotonic()
    _kill(worker.pid)
    wait_until(lambda: _are_all_ready(server, worker.pid), "a worker in the place of the killed one")
    return Kill("worker", at, time.monotonic() - at)


def _kill(pid: int) -> None:
    with watching(pid) as process:
        process.kill()
        process.gone(_SETTLED_S)


def _are_all_ready(server: Server, killed: int | None) -> bool:
    workers = server.triton.workers(IN_PROCESSES)
    return all(worker.state is WorkerState.READY and worker.pid != killed for worker in workers)
