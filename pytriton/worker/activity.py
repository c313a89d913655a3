# SPDX-License-Identifier: Apache-2.0
"""What a worker process is about, in a page of memory that its application can read even if it hangs."""

from __future__ import annotations

import mmap
import os
from time import monotonic_ns
from typing import Final

__all__ = ["Activity"]

_SIZE: Final = mmap.PAGESIZE
_BUSY_SINCE: Final = 0
_BEAT: Final = 1


class Activity:
    """Since when the function runs, and when the process was last seen to live; CLOCK_MONOTONIC."""

    def __init__(self, descriptor: int) -> None:
        """Map the page of a descriptor, which may be closed then."""
        self._memory = mmap.mmap(descriptor, _SIZE)
        self._words = memoryview(self._memory).cast("Q")

    @staticmethod
    def create() -> int:
        """Descriptor of a new page."""
        descriptor = os.memfd_create("pytriton-activity", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _SIZE)
        return descriptor

    def begin(self) -> None:
        """Note that the function runs from now on."""
        self._words[_BUSY_SINCE] = monotonic_ns()

    def end(self) -> None:
        """Note that it does not run."""
        self._words[_BUSY_SINCE] = 0

    def beat(self) -> None:
        """Note that the process lives."""
        self._words[_BEAT] = monotonic_ns()

    def busy_s(self) -> float:
        """For how long the function has been running."""
        return self._age_s(_BUSY_SINCE)

    def silent_s(self) -> float:
        """For how long nothing was heard of the process; 0 before anything was."""
        return self._age_s(_BEAT)

    def close(self) -> None:
        """Let go of the page."""
        self._words.release()
        self._memory.close()

    def _age_s(self, word: int) -> float:
        since = self._words[word]
        return max(0.0, (monotonic_ns() - since) / 1e9) if since else 0.0
