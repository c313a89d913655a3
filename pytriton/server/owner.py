# SPDX-License-Identifier: Apache-2.0
"""Whether the program that has put a model into somebody else's server still runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

__all__ = ["MARK", "OwnerMark", "has_ended"]

MARK: Final = ".owner"
"""The name of the file in a workspace."""


class OwnerMark:
    """A file that is locked for as long as this process lives, however it ends."""

    def __init__(self, path: Path) -> None:
        """Make the file and lock it.

        Args:
            path: The file, which must not be in use.
        """
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Take the mark away."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)


def has_ended(path: str | os.PathLike[str]) -> bool:
    """Whether the process that has made a mark is certainly gone; not so where its file cannot be seen."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
