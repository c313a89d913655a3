# SPDX-License-Identifier: Apache-2.0
"""What the flows ask of memory into which tensors are put for the server to find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange, Flow
from pytriton.client._core.request import Input
from pytriton.client._core.tensors import Array, TensorData
from pytriton.client.exceptions import PyTritonClientError

__all__ = ["PlacedTensors", "TensorMemory"]


class PlacedTensors(Protocol):
    """Where the tensors of one request are."""

    tensors: list[TensorData]
    """The inputs."""
    outputs: dict[str, ops.OutputRegion]
    """Where the outputs shall be put, by name."""

    def taken(self, results: dict[str, Any]) -> dict[str, Array]:
        """The outputs, out of the results of a request."""

    def give_back(self) -> None:
        """Nobody uses the request's memory any more."""

    def discard(self) -> None:
        """The server may still use the request's memory."""


class TensorMemory(Protocol):
    """Memory of one client with its server."""

    def place(
        self, inputs: Sequence[Input], sizes: Mapping[str, int], ask: Callable[[ops.Operation], Exchange]
    ) -> Flow[PlacedTensors | None]:
        """Put inputs into memory and have room there for outputs; None if all goes over the wire.

        Args:
            inputs: The inputs.
            sizes: Bytes that outputs will have at most, by name, of those where that is known.
            ask: Makes a request to the server of an operation.
        """

    def has_forgotten(self, error: PyTritonClientError) -> bool:
        """Whether an error means that the server does not know the memory any more."""

    def end(self) -> Flow[None]:
        """Have the server forget the memory, as far as that can be done in a short time."""
