# SPDX-License-Identifier: Apache-2.0
"""How often, and how soon, what has died is started again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytriton.exceptions import PyTritonValidationError

__all__ = ["RestartPolicy", "Restarts"]


@dataclass(frozen=True)
class RestartPolicy:
    """How often, and how soon, a server that has died is started again.

    The first restart within the period is at once; each further one waits twice as long as the one before.

    Args:
        max_restarts: Restarts within `period_s`; one more death within it is a crash loop, and final.
            0: a death is final.
        period_s: Seconds that a restart counts for.
        delay_s: Seconds before the second restart within the period.
        max_delay_s: Seconds that a restart waits at most.
        hang_timeout_s: A server that has not answered a health request for so many seconds is killed, and
            started again like one that has died; None: it is never asked.
    """

    max_restarts: int = 5
    period_s: float = 60.0
    delay_s: float = 0.1
    max_delay_s: float = 10.0
    hang_timeout_s: float | None = 60.0

    def __post_init__(self) -> None:
        count: Any = self.max_restarts
        if not isinstance(count, int) or count < 0:
            raise PyTritonValidationError(
                f"RestartPolicy: max_restarts must be an integer of 0 or more, got {count!r}."
            )
        for name in ("period_s", "delay_s", "max_delay_s", "hang_timeout_s"):
            value = getattr(self, name)
            if name == "hang_timeout_s" and value is None:
                continue
            positive = name in ("period_s", "hang_timeout_s")
            if not isinstance(value, (int, float)) or not (value > 0 if positive else value >= 0):
                kind = "a positive number" if positive else "a number of 0 or more"
                raise PyTritonValidationError(f"RestartPolicy: {name} must be {kind}, got {value!r}.")


class Restarts:
    """The restarts there have been, and whether there may be one more."""

    def __init__(self, policy: RestartPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._times: deque[float] = deque()

    @property
    def recent(self) -> int:
        """Restarts within the period."""
        return len(self._times)

    def next_delay(self) -> float | None:
        """Note one more restart, and say how long to wait before it; None if there may be no more."""
        policy, now = self._policy, self._clock()
        while self._times and now - self._times[0] >= policy.period_s:
            self._times.popleft()
        if len(self._times) >= policy.max_restarts:
            return None
        delay = min(policy.max_delay_s, policy.delay_s * 2.0 ** (len(self._times) - 1))
        self._times.append(now)
        return delay if len(self._times) > 1 else 0.0
