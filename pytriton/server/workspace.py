# SPDX-License-Identifier: Apache-2.0
"""Directory with the files of one Triton object: model store and sockets."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import Final

from pytriton.constants import pytriton_home
from pytriton.server.abandoned import SOCKETS, Claim, remove_abandoned

__all__ = ["CleanupWarning", "Workspace"]

LOGGER = logging.getLogger(__name__)

_PREFIX: Final = "workspace_"
_PRIVATE: Final = 0o700
# The address of a Unix socket holds 107 bytes; the rest is for numbers.
_LONGEST_SOCKET_DIRECTORY: Final = 94


class CleanupWarning(UserWarning):
    """A workspace could not be removed."""


class Workspace:
    """A private directory, removed by clean() or when the process ends."""

    def __init__(self, workspace_path: str | os.PathLike[str] | None = None) -> None:
        """Create the directory.

        Args:
            workspace_path: A directory that does not exist yet; a temporary one if there is no path.
        """
        self._is_temporary = workspace_path is None
        self._owner = os.getpid()
        self._numbers = itertools.count(1)
        self._claim: Claim | None = None
        self._path = (
            _temporary_directory()
            if workspace_path is None
            else _new_directory(Path(workspace_path).expanduser().absolute())
        )
        self._complete()

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    @property
    def model_store_path(self) -> Path:
        """Directory of the models, made on first use."""
        store = self._path / "model-store"
        store.mkdir(mode=_PRIVATE, exist_ok=True)
        return store

    def mend(self) -> None:
        """Make again what somebody has removed while it was in use."""
        for directory in (*self._directories, self._sockets):
            directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            if directory.stat().st_uid != os.geteuid():
                raise PermissionError(f"{directory} belongs to another user.")

    def exists(self) -> bool:
        """Whether the directory is there."""
        return self._path.exists()

    def is_empty(self) -> bool:
        """Whether it holds nothing but hidden files and the directory for sockets, or is not there at all."""
        return not self.exists() or all(
            entry.name.startswith(".") or entry == self._sockets for entry in self._path.iterdir()
        )

    def ensure(self) -> None:
        """Make the directory again after clean()."""
        if not self._path.exists():
            _new_directory(self._path)
            self._complete()

    @property
    def temporary_directories(self) -> list[Path]:
        """Directories that nobody misses when this process could not remove them."""
        return [path for path in self._directories if path != self._path or self._is_temporary]

    def new_socket_path(self) -> Path:
        """A path for a Unix socket, short enough for its address."""
        return self._sockets / str(next(self._numbers))

    def clean(self) -> None:
        """Remove the directory; what cannot be removed is only warned about."""
        self._finalizer.detach()
        _remove(self._directories, self._owner, self._claim)

    def _complete(self) -> None:
        self._directories = [self._path]
        self._sockets = self._path / "s"
        if len(os.fsencode(self._sockets)) <= _LONGEST_SOCKET_DIRECTORY:
            self._sockets.mkdir(mode=_PRIVATE)
        else:
            self._sockets = Path(tempfile.mkdtemp(prefix=SOCKETS, dir="/tmp"))
            self._directories.append(self._sockets)
        if self._claim is not None:
            self._claim.give_up()
        self._claim = Claim(self._path, self._directories[1:]) if self._is_temporary else None
        self._finalizer = weakref.finalize(self, _remove, self._directories, self._owner, self._claim)


def _remove(directories: list[Path], owner: int, claim: Claim | None) -> None:
    # A forked child inherits the finalizer, but the directories are its parent's.
    if os.getpid() != owner:
        return
    for directory in directories:
        if not directory.exists():
            continue
        try:
            shutil.rmtree(directory)
        except OSError as error:
            message = f"The workspace {directory} could not be removed: {error}"
            warnings.warn(message, CleanupWarning, stacklevel=3)
    # What could not be removed may be used again.
    if claim is not None and not directories[0].exists():
        claim.give_up()


def _new_directory(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_PRIVATE)
    return path


def _temporary_directory() -> Path:
    try:
        home = pytriton_home()
        home.mkdir(parents=True, exist_ok=True)
        return _new_directory_in(home)
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        fallback = tempfile.gettempdir()
        LOGGER.debug("The workspace goes to %s: %s", fallback, error)
        return _new_directory_in(Path(fallback))


def _new_directory_in(home: Path) -> Path:
    remove_abandoned(home, _PREFIX)
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home)).absolute()
