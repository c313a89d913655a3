# SPDX-License-Identifier: Apache-2.0
"""The exit status of a process in words."""

from __future__ import annotations

import signal

__all__ = ["in_words"]


def in_words(status: int) -> str:
    """What became of a process, of whose end `subprocess` gives this status."""
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"
