# SPDX-License-Identifier: Apache-2.0
"""One request from when it is sent until nothing more comes for it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, NamedTuple

from pytriton.exceptions import ErrorCode
from pytriton.request import Array
from pytriton.testing._block import Requested

__all__ = ["Failed", "Job", "Outputs"]

Outputs = dict[str, Array]


class Failed(NamedTuple):
    """An error as the server tells it."""

    code: ErrorCode
    text: str


class Job:
    """A request, and what has come for it so far."""

    def __init__(self, request: Requested, cancel: Callable[[Job], object]) -> None:
        self.request = request
        self.cancelled = False
        self.ended = False
        self._cancel = cancel
        self._answers: queue.SimpleQueue[Outputs | Failed | None] = queue.SimpleQueue()

    @property
    def kinds(self) -> dict[str, Any]:
        """What must be equal in all requests of a batch: names, shapes of rows and dtypes."""
        return {name: (array.shape[1:], array.dtype.str) for name, array in self.request.inputs.items()}

    def answer(self, outputs: Outputs) -> None:
        """Give a response."""
        if not self.ended:
            self._answers.put(outputs)

    def fail(self, code: ErrorCode, text: str) -> None:
        """Give an error, after which nothing comes."""
        if not self.ended:
            self.ended = True
            self._answers.put(Failed(code, text))

    def end(self) -> None:
        """Say that nothing more comes."""
        if not self.ended:
            self.ended = True
            self._answers.put(None)

    def next(self, timeout_s: float) -> Outputs | Failed | None:
        """Wait for what comes next, None after the last; TimeoutError."""
        try:
            return self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None

    def cancel(self) -> None:
        """Want nothing more."""
        self._cancel(self)
