# SPDX-License-Identifier: Apache-2.0
"""Wait until models have answered what they have accepted, for so long; then fail the rest, and say so."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import Future
from typing import Final

from pytriton.server.control import ControlChannel, Op
from pytriton.serving.binding import Binding
from pytriton.serving.run import until

__all__ = ["Drain", "labels_of"]

LOGGER = logging.getLogger("pytriton.triton")

_FAIL_TIMEOUT_S: Final = 3.0


class Drain:
    """The last requests of models that take no others; the server says when there are none left."""

    def __init__(self, control: ControlChannel, bindings: Sequence[Binding]) -> None:
        self._control = control
        # What fails from here on is what is cut off.
        self._replies: dict[Binding, Future[str]] = {
            binding: control.submit(Op.AWAIT_RELEASE, str(binding.socket_path)) for binding in bindings
        }

    def wait(self, timeout_s: float) -> None:
        """Wait for the answers; those that do not come in time are made to be errors."""
        deadline = time.monotonic() + timeout_s
        futures.wait(self._replies.values(), until(deadline))
        slow = [binding for binding, reply in self._replies.items() if not reply.done()]
        if not slow:
            return
        for binding in slow:
            self._control.submit(Op.CUT_OFF, str(binding.socket_path))
        futures.wait([self._replies[binding] for binding in slow], _FAIL_TIMEOUT_S)
        counts = [_count(self._replies[binding]) for binding in slow]
        LOGGER.warning(
            "%s of %s had no answer within the limit of %g s and failed; "
            "Limits(drain_timeout_s=...) sets it.",
            _sum_up(counts),
            labels_of(slow),
            timeout_s,
        )


def labels_of(bindings: Sequence[Binding]) -> str:
    """Names and versions of models, for messages."""
    return ", ".join('model "{}" version {}'.format(*binding.label) for binding in bindings)


def _count(reply: Future[str]) -> int | None:
    if not reply.done() or reply.exception() is not None:
        return None
    return int(reply.result() or 0)


def _sum_up(counts: Sequence[int | None]) -> str:
    known = sum(count or 0 for count in counts)
    if None in counts:
        return f"At least {known} requests" if known else "Requests"
    return "1 request" if known == 1 else f"{known} requests"
