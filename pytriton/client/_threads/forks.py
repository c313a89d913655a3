# SPDX-License-Identifier: Apache-2.0
"""Objects that begin anew in the child after a fork: locks and threads do not survive one."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Renewable", "renew_after_fork"]


class Renewable(Protocol):
    """Has something to do in the child after a fork."""

    def _after_fork(self) -> None:
        """Let go of all that belongs to the parent, without telling anybody."""


_objects: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_after_fork(renewable: Renewable) -> None:
    """Call `renewable._after_fork()` in every child that this process forks while the object lives."""
    _objects.add(renewable)


def _renew() -> None:
    for renewable in list(_objects):
        renewable._after_fork()


os.register_at_fork(after_in_child=_renew)
