# SPDX-License-Identifier: Apache-2.0
"""Where the tensors of one request are."""

from __future__ import annotations

from typing import Any

from pytriton.client._core import operations as ops
from pytriton.client._core.recycled import recycled_copy
from pytriton.client._core.tensors import Array, TensorData, decode_data
from pytriton.client._shared_memory.regions import Region, Regions
from pytriton.client.exceptions import PyTritonClientProtocolError

__all__ = ["Placed"]


class Placed:
    """The tensors of one request, and the regions that it has borrowed for them."""

    def __init__(self, regions: Regions) -> None:
        self.tensors: list[TensorData] = []
        self.outputs: dict[str, ops.OutputRegion] = {}
        self.target: Region | None = None
        """The region of the outputs."""
        self._regions = regions
        self._borrowed: list[Region] = []

    def borrow(self, size: int) -> Region:
        """A region of at least this size, until the end; OSError if there is no memory for one."""
        region = self._regions.borrow(size)
        self._borrowed.append(region)
        return region

    def taken(self, results: dict[str, Any]) -> dict[str, Array]:
        """The outputs; those in shared memory are copied out of it."""
        for name, result in results.items():
            if isinstance(result, ops.InRegion):
                place = self.outputs.get(name)
                if place is None or self.target is None or result.byte_size > place.byte_size:
                    raise PyTritonClientProtocolError(f'The answer has no data of output "{name}".')
                data: Any = self.target.block.view(place.offset, result.byte_size)
                results[name] = decode_data(recycled_copy(data), result.datatype, result.shape)
        return results

    def give_back(self) -> None:
        """Nobody uses the request's memory any more."""
        for region in self._borrowed:
            self._regions.give_back(region)
        self._borrowed.clear()

    def discard(self) -> None:
        """The server may still use the request's memory."""
        for region in self._borrowed:
            self._regions.discard(region)
        self._borrowed.clear()
