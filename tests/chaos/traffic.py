# SPDX-License-Identifier: Apache-2.0
"""Clients of all kinds in threads, and what came of what they asked."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.kinds import KINDS, LOST
from tests.helpers.server import TIMEOUT_S, Address

__all__ = ["Results", "Traffic"]

_JOIN_S: Final = 3 * TIMEOUT_S


@dataclass
class Results:
    """What came of the requests of a part."""

    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """Wrong answers and clients that hung, word for word."""
    lost: list[tuple[str, float, float]] = field(default_factory=list)
    """Kind of the client, and when it began to wait for an answer that did not come, and gave it up."""


class Traffic:
    """Clients in threads, until they are told to stop."""

    def __init__(self, address: Address, seed: int) -> None:
        self._address = address
        self._seed = seed
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._results = Results()

    def start(self, clients_of_a_kind: int) -> None:
        """Begin to ask."""
        for number in range(clients_of_a_kind):
            for kind in KINDS:
                name = f"{kind}-{number}"
                thread = threading.Thread(target=self._run, args=(kind, name), name=name, daemon=True)
                self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def stop(self) -> Results:
        """Let every client finish what it has begun."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_JOIN_S)
        with self._lock:
            self._results.wrong += [f"{thread.name} hangs" for thread in self._threads if thread.is_alive()]
            self._results.counts = dict(self._counts)
            return self._results

    def _run(self, kind: str, name: str) -> None:
        client = KINDS[kind](self._address, random.Random(f"{self._seed} {name}"))
        with contextlib.closing(client):
            while not self._stopped.is_set():
                began = time.monotonic()
                try:
                    outcome = next(client)
                except Exception as error:
                    with self._lock:
                        self._results.wrong.append(f"{name}: {error!r}")
                    return
                with self._lock:
                    self._counts[f"{kind}: {outcome}"] += 1
                    if outcome == LOST:
                        self._results.lost.append((kind, began, time.monotonic()))
