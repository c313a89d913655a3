# SPDX-License-Identifier: Apache-2.0
"""Workspaces of programs that were killed together with whatever would have removed them.

The lock of a file in each of them says whether its program lives. Who makes another workspace beside them
removes those whose program does not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pytriton.server.owner import MARK

__all__ = ["SOCKETS", "Claim", "remove_abandoned"]

SOCKETS: Final = "pytriton-"
"""So begin the names of directories for sockets that lie elsewhere."""
_ELSEWHERE: Final = Path("/tmp")
_LOCK: Final = ".lock"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# For so long a model that was left in somebody else's server can still be taken over by its name.
_MARK_IS_KEPT_S: Final = 7 * 86400.0


class Claim:
    """A workspace that is marked as in use for as long as this process lives, however it ends."""

    def __init__(self, directory: Path, elsewhere: Sequence[Path]) -> None:
        """Mark it; nothing is marked where files cannot be locked.

        Args:
            directory: The workspace, which is new.
            elsewhere: Directories besides that go with it.
        """
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(directory / _LOCK, flags, 0o600)
            # Waits for whoever has a look at it; as long as there is no text nobody takes it for abandoned.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            os.write(self._descriptor, os.fsencode("\n".join([_boot_id(), *map(str, elsewhere)])))

    def give_up(self) -> None:
        """Leave the workspace to whoever finds it, if there is anything left of it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def remove_abandoned(home: Path, prefix: str) -> None:
    """Remove the workspaces in a directory whose programs are gone."""
    with contextlib.suppress(OSError):
        for lock in list(home.glob(f"{prefix}*/{_LOCK}")):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(lock)


def _remove_if_abandoned(lock: Path) -> None:
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        # One that its program has removed meanwhile, and may have made anew, is not this one any more.
        if status.st_uid != os.geteuid() or status.st_nlink == 0:
            return
        boot, *elsewhere = os.fsdecode(os.read(descriptor, status.st_size)).split("\n")
        # Another machine that sees the directory too may know nothing of our locks, nor we of its.
        if boot == _boot_id():
            for path in map(Path, elsewhere):
                if path.parent == _ELSEWHERE and path.name.startswith(SOCKETS):
                    shutil.rmtree(path, ignore_errors=True)
            _remove(lock.parent)
    finally:
        os.close(descriptor)


def _remove(workspace: Path) -> None:
    mark = workspace / MARK
    rest = [path for path in workspace.iterdir() if path.name not in (MARK, _LOCK)]
    # The time of the directory is that of the last removal in it.
    if not mark.exists() or (not rest and time.time() - workspace.stat().st_mtime > _MARK_IS_KEPT_S):
        shutil.rmtree(workspace)
        return
    for path in rest:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _boot_id() -> str:
    return _BOOT.read_text(encoding="ascii").strip()
