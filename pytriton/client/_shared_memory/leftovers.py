# SPDX-License-Identifier: Apache-2.0
"""Regions that servers still know of though nobody here uses them: later clients and the end see to them."""

from __future__ import annotations

import atexit
import collections
import contextlib
import time
import weakref
from collections.abc import Iterable
from typing import Final, Protocol

from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange, Flow, run
from pytriton.client._core.settings import Settings
from pytriton.client._threads.forks import renew_after_fork
from pytriton.client._transports import transport_type
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientProtocolError,
)

__all__ = ["LEFTOVERS", "Leftovers", "forget"]

_PATIENCE_S: Final = 2.0


class Source(Protocol):
    """Has regions that are registered."""

    def leave(self) -> None:
        """Give their names to the leftovers."""


class Leftovers:
    """Names of regions by server."""

    def __init__(self) -> None:
        self._after_fork()
        renew_after_fork(self)

    def add(self, settings: Settings, names: Iterable[str]) -> None:
        """Have others see to these; may be called from anywhere, a finalizer too."""
        self._settings[settings.target] = settings
        self._names[settings.target].extend(names)

    def watch(self, source: Source) -> None:
        """See to what this has at the end of the interpreter, if it is still there then."""
        self._sources.add(source)

    def take(self, settings: Settings) -> list[str]:
        """All of a server; who takes them sees to them, or adds them again."""
        names = self._names[settings.target]
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(names.popleft())
        return taken

    def clean_up(self) -> None:
        """Have all servers forget, as far as they can be reached in a short time."""
        for source in list(self._sources):
            source.leave()
        for settings in list(self._settings.values()):
            names = self.take(settings)
            if names:
                with contextlib.suppress(Exception):
                    transport = transport_type(settings)(settings)
                    with contextlib.closing(transport):
                        run(forget(settings, names), transport)

    def _after_fork(self) -> None:
        self._sources: weakref.WeakSet[Source] = weakref.WeakSet()
        self._settings: dict[str, Settings] = {}
        self._names: dict[str, collections.deque[str]] = collections.defaultdict(collections.deque)


LEFTOVERS: Final = Leftovers()


def forget(settings: Settings, names: Iterable[str]) -> Flow[list[str]]:
    """Have the server forget regions; those that it cannot forget yet are given back."""
    deadline = time.monotonic() + _PATIENCE_S
    kept, left = [], list(names)
    while left:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        try:
            command = ops.UnregisterMemory(left[-1])
            yield Exchange(command, remaining, settings.headers, settings.what)
        except (PyTritonClientAccessDeniedError, PyTritonClientProtocolError):
            break
        except PyTritonClientInferenceServerError:
            kept.append(left[-1])  # it is in use
        except PyTritonClientConnectionError:
            return []  # what has gone has forgotten
        except PyTritonClientError:
            break
        left.pop()
    return kept + left


# Later handlers run earlier: those of pools end the requests first.
atexit.register(LEFTOVERS.clean_up)
