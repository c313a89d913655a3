# SPDX-License-Identifier: Apache-2.0
"""How a measured server tells the runner what happens when: JSON lines on a descriptor of its own."""

from __future__ import annotations

import json
import os
import time

__all__ = ["emit", "open_events"]

_descriptor = -1


def open_events() -> None:
    """Take over the descriptor named in the environment; children must not hold it."""
    global _descriptor
    _descriptor = int(os.environ.get("BENCHMARK_EVENTS_FD", "-1"))
    if _descriptor >= 0:
        os.set_inheritable(_descriptor, False)


def emit(event: str, **details: object) -> None:
    """Report one event with the clock that the runner reads too."""
    if _descriptor >= 0:
        line = json.dumps({"event": event, "ns": time.monotonic_ns(), **details}) + "\n"
        os.write(_descriptor, line.encode())
