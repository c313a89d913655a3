# SPDX-License-Identifier: Apache-2.0
"""How long a run takes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Profile"]


@dataclass(frozen=True)
class Profile:
    """The lengths of one run."""

    name: str
    rounds: int
    wrk_seconds: int  # wrk takes whole seconds
    window_ms: int  # perf_analyzer measures three windows
    startups: int
    imports: int
    idle_seconds: float


QUICK = Profile("quick", rounds=1, wrk_seconds=1, window_ms=250, startups=1, imports=3, idle_seconds=1.0)
FULL = Profile("full", rounds=5, wrk_seconds=2, window_ms=500, startups=5, imports=7, idle_seconds=3.0)
