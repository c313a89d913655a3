# SPDX-License-Identifier: Apache-2.0
"""Blocks of POSIX shared memory that a server on the same machine can map, and whose they are."""

from __future__ import annotations

import errno
import mmap
import os
import re
import secrets
from typing import Final

import numpy as np

from pytriton.client._core.tensors import Array

__all__ = ["Block", "is_left_behind"]

_DIRECTORY: Final = "/dev/shm"
_NAME: Final = re.compile(r"pytriton-client-(?P<space>\d+)-(?P<pid>\d+)-(?P<start>\d+)-[0-9a-f]+")


class Block:
    """Shared memory that belongs to this process; OSError if there is none to be had."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.name = (
            f"pytriton-client-{_space()}-{os.getpid()}-{_start_of(os.getpid())}-{secrets.token_hex(8)}"
        )
        self._path: str | None = f"{_DIRECTORY}/{self.name}"
        descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            # Memory that is promised but not there would kill whoever writes to it, be it the server.
            os.posix_fallocate(descriptor, 0, size)
            self._memory = mmap.mmap(descriptor, size)
        except BaseException:
            self.unlink()
            raise
        finally:
            os.close(descriptor)

    @property
    def key(self) -> str:
        """Its name for those who want to map it, as shm_open() has it."""
        return f"/{self.name}"

    def view(self, offset: int, size: int) -> Array:
        """Some of its bytes."""
        view: Array = np.frombuffer(self._memory, np.uint8, size, offset)
        return view

    def unlink(self) -> None:
        """Take away its name: who has mapped it keeps it, and it goes with the last of them."""
        path, self._path = self._path, None
        if path is not None:
            try:
                os.unlink(path)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise


def is_left_behind(name: str) -> bool:
    """Whether a name is of a block whose process has gone; false where that cannot be told from here."""
    match = _NAME.fullmatch(name)
    if match is None or match["space"] != _space():
        return False
    return _start_of(int(match["pid"])) != match["start"]


def _space() -> str:
    """The namespace in which this process has its number, 0 if that is not told."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def _start_of(pid: int) -> str:
    """When a process began, as the kernel counts; 0 if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return "0"
