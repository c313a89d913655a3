# SPDX-License-Identifier: Apache-2.0
"""An early look at a load: where every request fails there is nothing to measure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pytriton.bench.plan import NS_PER_S, Plan, Seen
from pytriton.client.exceptions import PyTritonClientError

__all__ = ["AllFailedError", "EarlyLook", "check", "early_s", "look_early"]

_WITHOUT_WARMUP_S: Final = 1.0
_TRACEBACK: Final = "Traceback (most recent call last)"


class AllFailedError(PyTritonClientError):
    """No request of a load was answered, so that it was stopped."""


@dataclass(frozen=True)
class EarlyLook:
    """What one process has seen early."""

    answers: int
    failures: int
    errors: dict[str, int]


def early_s(plan: Plan) -> float | None:
    """When the look is taken: after the warm-up, or after a second; None for loads that end before."""
    seconds = plan.warmup_s or _WITHOUT_WARMUP_S
    return seconds if seconds < plan.warmup_s + plan.duration_s else None


def look_early(
    plan: Plan, seen: Seen, start_ns: int, tell: Callable[[EarlyLook], object]
) -> threading.Thread | None:
    """Take the look from a thread beside the load, so that the load has nothing to do for it."""
    seconds = early_s(plan)
    if seconds is None:
        return None
    at = start_ns + int(seconds * NS_PER_S)

    def look() -> None:
        while (left := at - time.monotonic_ns()) > 0:
            time.sleep(left / NS_PER_S)
        tell(EarlyLook(len(seen.ends), seen.failures, dict(seen.errors)))

    thread = threading.Thread(target=look, name="early-look")
    thread.start()
    return thread


def check(looks: Sequence[EarlyLook], seconds: float) -> None:
    """AllFailedError if requests have failed and none was answered.

    Args:
        looks: One of each process.
        seconds: When they were taken.
    """
    failures = sum(look.failures for look in looks)
    if not failures or any(look.answers for look in looks):
        return
    errors = Seen()
    for look in looks:
        errors.add_errors(look.errors)
    first, *others = sorted(errors.errors, key=lambda text: -errors.errors[text])
    more = f" (and {len(others)} other error{'s' * (len(others) > 1)})" if others else ""
    raise AllFailedError(
        f"all {failures:,} requests of the first {seconds:g} s failed, so that nothing was measured: "
        f"{_sentence(first)}{more}"
    )


def _sentence(text: str) -> str:
    """An error in one line: of a traceback the last one."""
    before, found, traceback = text.partition(_TRACEBACK)
    if found:
        text = before + traceback.rstrip().rpartition("\n")[2]
    return " ".join(text.split())
