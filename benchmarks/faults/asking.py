# SPDX-License-Identifier: Apache-2.0
"""A handful of clients that ask all the time over HTTP, and check each answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Final

__all__ = ["HUNG_S", "OK", "WRONG", "Aftermath", "Ask", "Asking", "aftermath", "send"]

HUNG_S: Final = 10.0
"""A request without an answer for so long counts as one that never gets one."""

OK: Final = "answered"
WRONG: Final = "wrong answer"
REFUSED: Final = "connection refused"
CUT: Final = "connection cut"
HUNG: Final = "hung"

_WORDS: Final = 300
_PAUSE_S: Final = 0.02


@dataclass(frozen=True)
class Ask:
    """One request, and what came of it."""

    began: float
    ended: float
    outcome: str
    client: int = 0
    words: str = ""


class Asking:
    """The clients, of which each has a connection of its own."""

    def __init__(self, port: int, path: str, body: bytes, right: Callable[[Any], bool], clients: int) -> None:
        self._port = port
        self._path = path
        self._body = body
        self._right = right
        self._asks: list[Ask] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"client-{number}")
            for number in range(clients)
        ]

    @property
    def asks(self) -> list[Ask]:
        """All that have ended."""
        return list(self._asks)

    def well_since(self, moment: float) -> bool:
        """Whether each client was answered since then, and each answer since then was a good one."""
        later = [ask for ask in self.asks if ask.ended >= moment]
        return len({ask.client for ask in later}) == len(self._threads) and all(
            ask.outcome == OK for ask in later
        )

    def stop(self) -> list[Ask]:
        """Let them end what they have begun."""
        self._stopped.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        return self.asks

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HUNG_S)
        while not self._stopped.is_set():
            began = time.monotonic()
            outcome, text = send(connection, self._path, self._body, self._right)
            if outcome != OK:
                connection.close()
            self._asks.append(Ask(began, time.monotonic(), outcome, number, text if outcome != OK else ""))
            time.sleep(_PAUSE_S)
        connection.close()


def send(
    connection: http.client.HTTPConnection, path: str, body: bytes, right: Callable[[Any], bool]
) -> tuple[str, str]:
    """Send one request; what came of it, and the body of the answer."""
    try:
        connection.request("POST", path, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except ConnectionRefusedError:
        return REFUSED, ""
    except TimeoutError:
        return HUNG, ""
    except (OSError, http.client.HTTPException):
        return CUT, ""
    if response.status != 200:
        return f"status {response.status}", text
    try:
        return (OK if right(json.loads(text)) else WRONG), text
    except ValueError:
        return WRONG, text


@dataclass(frozen=True)
class Aftermath:
    """What a fault did to the requests that were not answered before it."""

    failed: dict[str, int]
    hung: int
    refused: int
    words: list[str]
    """Of the answers that were errors, each once."""
    first_s: float | None
    """Until the first good answer."""
    again_s: float | None
    """Until the first answer to a request that was sent after the last bad one."""
    pause_s: float | None
    """The longest time between two good answers, the fault being one."""


def aftermath(asks: Iterable[Ask], moment: float) -> Aftermath:
    """Say what happened after the fault of a moment."""
    later = [ask for ask in asks if ask.ended >= moment]
    bad = [ask for ask in later if ask.outcome != OK]
    failed: dict[str, int] = {}
    for ask in bad:
        if ask.outcome not in (HUNG, REFUSED):
            failed[ask.outcome] = failed.get(ask.outcome, 0) + 1
    last = max((ask.began for ask in bad), default=moment)
    again = [ask.ended for ask in later if ask.outcome == OK and ask.began >= last]
    times = [moment, *sorted(ask.ended for ask in later if ask.outcome == OK)]
    first = times[1] if len(times) > 1 else None
    pauses = [after - before for before, after in pairwise(times)]
    return Aftermath(
        failed,
        sum(ask.outcome == HUNG for ask in bad),
        sum(ask.outcome == REFUSED for ask in bad),
        sorted({ask.words[:_WORDS] for ask in bad if ask.words}),
        None if first is None else first - moment,
        min(again) - moment if again else None,
        max(pauses, default=None),
    )
