# SPDX-License-Identifier: Apache-2.0
"""What the functions of a server have written down: lines of a word and what it is about."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

__all__ = ["NOTES", "Notes"]

NOTES: Final = "FAULTS_NOTES"
"""The variable that tells servers the file."""

_POLL_S: Final = 0.02


class Notes:
    """The file of one server."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[list[str]]:
        """All so far, split into words."""
        if not self._path.exists():
            return []
        return [line.split() for line in self._path.read_text(encoding="utf-8").splitlines()]

    def count(self, word: str) -> int:
        """How many lines begin with the word."""
        return sum(line[0] == word for line in self.lines())

    def wait_for(self, word: str, count: int, timeout_s: float) -> bool:
        """Whether as many lines begin with the word, within the time."""
        deadline = time.monotonic() + timeout_s
        while self.count(word) < count:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True
