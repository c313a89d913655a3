# SPDX-License-Identifier: Apache-2.0
"""Which process has started which."""

from __future__ import annotations

from pathlib import Path

__all__ = ["parents"]


def parents() -> dict[int, int]:
    """The number of each process's parent, by its own; zombies are among them.

    What the kernel lists by thread as children leaves some out while threads end.
    """
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has gone
            continue
        # The name before it is in parentheses, and may have any of its own.
        found[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    return found
