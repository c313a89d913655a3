# SPDX-License-Identifier: Apache-2.0
"""How a function tells the runner what it has seen: lines of a file that all may add to."""

from __future__ import annotations

import os

__all__ = ["note"]


def note(*words: object) -> None:
    """Add a line; a short one is written whole, whoever else writes."""
    with open(os.environ["FAULTS_NOTES"], "a", encoding="utf-8") as file:
        file.write(" ".join(map(str, words)) + "\n")
