# SPDX-License-Identifier: Apache-2.0
"""A request of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytriton.client._core.flow import Exchange
from pytriton.client._core.memory import PlacedTensors
from pytriton.client._core.tensors import Array

__all__ = ["StreamRequest"]


class StreamRequest:
    """A request of a stream, and its inputs in shared memory, if they are there."""

    def __init__(
        self,
        command: Exchange,
        outputs: Callable[[Any], dict[str, Array]],
        placed: PlacedTensors | None = None,
    ) -> None:
        self.command = command
        self.outputs = outputs
        """The outputs of one response as the transport has it, or the exception that it amounts to."""
        self._placed = placed

    def end(self, *, complete: bool) -> None:
        """The stream is over.

        Args:
            complete: Whether the server has said so; it may still read the inputs otherwise.
        """
        placed, self._placed = self._placed, None
        if placed is not None:
            (placed.give_back if complete else placed.discard)()
