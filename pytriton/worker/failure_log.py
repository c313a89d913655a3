# SPDX-License-Identifier: Apache-2.0
"""Failed requests in the log: faults as warnings, refusals as information, and neither a thousand times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from pytriton.exceptions import ErrorCode

__all__ = ["PERIOD_S", "FailureLog"]

PERIOD_S: Final = 10.0
"""How long the same text is said but once."""
_KEPT: Final = 64
# Their cause is the client, who is told it.
_REFUSALS: Final = frozenset(
    (
        ErrorCode.INVALID_ARG,
        ErrorCode.NOT_FOUND,
        ErrorCode.UNSUPPORTED,
        ErrorCode.ALREADY_EXISTS,
        ErrorCode.CANCELLED,
    )
)


class FailureLog:
    """Says which requests of a model failed; repetitions only on the level DEBUG."""

    def __init__(
        self, model: str, logger: logging.Logger, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._logger = logger
        self._clock = clock
        self._said: dict[int, _Said] = {}

    def note(self, code: ErrorCode, text: str, requests: int) -> None:
        """Say that requests of a batch failed.

        Args:
            code: The first one's.
            text: What its client is told.
            requests: How many of the batch failed.
        """
        is_refusal = code in _REFUSALS
        level = logging.INFO if is_refusal else logging.WARNING
        before = 0
        if self._logger.isEnabledFor(level):
            repeated = self._repeated(text)
            level, before = (logging.DEBUG, 0) if repeated is None else (level, repeated)
        if not self._logger.isEnabledFor(level):
            return
        others = f" (and {requests - 1} more requests of the batch)" if requests > 1 else ""
        earlier = f" ({before} more times since this was last said)" if before else ""
        what = "request refused" if is_refusal else "inference failed"
        self._logger.log(level, 'model "%s": %s%s%s: %s', self._model, what, others, earlier, text)

    def _repeated(self, text: str) -> int | None:
        """How often a text was held back before it is said now; None if it is to be held back."""
        now, key = self._clock(), hash(text)
        said = self._said.get(key)
        if said is not None and now < said.until:
            said.held_back += 1
            return None
        self._said.pop(key, None)
        while len(self._said) >= _KEPT:
            del self._said[next(iter(self._said))]
        self._said[key] = _Said(now + PERIOD_S)
        return 0 if said is None else said.held_back


class _Said:
    """A text that was said."""

    __slots__ = ("held_back", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.held_back = 0
