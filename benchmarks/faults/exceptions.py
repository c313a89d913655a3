# SPDX-License-Identifier: Apache-2.0
"""A function raises for one request of a batch."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from benchmarks.faults.asking import HUNG_S, OK, WRONG, send
from benchmarks.faults.contestants import body, is_answer, path, single_error
from benchmarks.faults.server import Server

__all__ = ["function_raises"]

_BATCH: Final = 4
_ATTEMPTS: Final = 10
_GOOD: Final = 1.0
_RAISES: Final = -1.0
_FAILS_ALONE: Final = -2.0


def function_raises(server: Server) -> dict[str, Any]:
    """Ask for a batch with a bad request: an exception leaves the function, or is that request's."""
    together = _batch(server, _GOOD)
    facts: dict[str, Any] = {
        "in_one_batch": all(outcome == OK for outcome, _ in together),
        "raised": _told(_batch(server, _RAISES)),
    }
    if (how := single_error(server.subject)) is not None:
        facts |= {"how": how, "alone": _told(_batch(server, _FAILS_ALONE))}
    return facts | {"serves_after": all(outcome == OK for outcome, _ in _batch(server, _GOOD))}


def _batch(server: Server, first: float) -> list[tuple[str, str]]:
    """What became of the requests, that which is special in front."""
    for _ in range(_ATTEMPTS):
        found = _attempt(server, first)
        # A good answer says how many were in the batch; where others failed, nothing says it.
        if WRONG not in {outcome for outcome, _ in found}:
            break
    return found


def _attempt(server: Server, first: float) -> list[tuple[str, str]]:

    def ask(value: float) -> tuple[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HUNG_S)
        try:
            return send(
                connection,
                path(server.subject, "faulty"),
                body(server.subject, value),
                lambda answer: is_answer(server.subject, answer, float(_BATCH)),
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(_BATCH) as pool:
        return list(pool.map(ask, [first, *[_GOOD] * (_BATCH - 1)]))


def _told(outcomes: list[tuple[str, str]]) -> dict[str, Any]:
    (outcome, words), *others = outcomes
    return {"caller": outcome, "words": words, "others": [each for each, _ in others]}
