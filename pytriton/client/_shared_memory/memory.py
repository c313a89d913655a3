# SPDX-License-Identifier: Apache-2.0
"""Tensors of a request in shared memory: what goes there, and what the server must be told."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from pytriton import dtypes
from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange, Flow
from pytriton.client._core.request import Input
from pytriton.client._core.settings import Settings
from pytriton.client._core.tensors import Buffer, TensorData, encode_array
from pytriton.client._shared_memory.block import is_left_behind
from pytriton.client._shared_memory.leftovers import LEFTOVERS, forget
from pytriton.client._shared_memory.placed import Placed
from pytriton.client._shared_memory.regions import Region, Regions
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientProtocolError,
    PyTritonClientSharedMemoryError,
)

__all__ = ["Memory"]

_LOGGER = logging.getLogger(__name__)
_LEAST_BYTES: Final = 1 << 17
_ALIGNMENT: Final = 64
_LOOK_EVERY_S: Final = 1.0
_UNKNOWN_REGION: Final = "unable to find"
_ELSEWHERE: Final = (
    "the server cannot map memory of this process. Is it on this machine, with the same /dev/shm "
    "(docker run --ipc=host), and may it read what this user writes?"
)


class Memory:
    """Shared memory of one client with its server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._always = settings.shared_memory == "always"
        self._least_bytes = 1 if self._always else _LEAST_BYTES
        self._regions = Regions(settings)
        self._has_looked = self._has_warned = False
        self._next_look = 0.0
        self.is_off = not self._always and not _is_here(settings.url.hostname)
        """Whether it has turned out that it cannot be used."""

    def place(
        self, inputs: Sequence[Input], sizes: Mapping[str, int], ask: Callable[[ops.Operation], Exchange]
    ) -> Flow[Placed | None]:
        """Put inputs into shared memory and have room there for outputs; None if all goes over the wire.

        Args:
            inputs: The inputs.
            sizes: Bytes that outputs will have at most, by name, of those where that is known.
            ask: Makes a request to the server of an operation.
        """
        if self.is_off:
            return None
        packed = {item.name: _packed(item) for item in inputs if item.datatype is dtypes.BYTES}
        given = {item.name: len(packed.get(item.name, b"")) or item.array.nbytes for item in inputs}
        given = {name: size for name, size in given.items() if size >= self._least_bytes}
        returned = {name: size for name, size in sizes.items() if size >= self._least_bytes}
        if not given and not returned:
            return None
        placed = Placed(self._regions)
        try:
            yield from self._tidy(ask)
            source = (yield from self._borrow(placed, given, ask)) if given else None
            placed.tensors = [_tensor(item, packed, given, source) for item in inputs]
            if returned:
                placed.target = yield from self._borrow(placed, returned, ask)
                for name, offset, size in _offsets(returned):
                    placed.outputs[name] = ops.OutputRegion(placed.target.name, size, offset)
            return placed
        except _UnusableError:
            placed.give_back()
            return None
        except BaseException:
            placed.give_back()
            raise

    def has_forgotten(self, error: PyTritonClientError) -> bool:
        """Whether an error means that the server does not know our regions any more: it is another one."""
        lost = isinstance(error, PyTritonClientInferenceServerError) and _UNKNOWN_REGION in str(error).lower()
        if lost:
            self._regions.retire()  # what the server does not know needs no unregistering
        return lost

    def end(self) -> Flow[None]:
        """Have the server forget all regions, as far as that can be done in a short time."""
        yield from self._forget(self._regions.retire() + LEFTOVERS.take(self._settings))

    def _forget(self, names: list[str]) -> Flow[None]:
        kept = names
        try:
            kept = yield from forget(self._settings, names)
        finally:
            if kept:
                LEFTOVERS.add(self._settings, kept)

    def _borrow(
        self, placed: Placed, sizes: Mapping[str, int], ask: Callable[[ops.Operation], Exchange]
    ) -> Flow[Region]:
        try:
            region = placed.borrow(sum(map(_aligned, sizes.values())))
        except OSError as error:
            # For this request; there may be some again later on.
            reason = f"no shared memory is to be had: {error}; see the size of /dev/shm"
            raise self._unusable(reason, error) from error
        if region.is_registered:
            return region
        try:
            yield ask(region.registration)
        except PyTritonClientProtocolError:
            raise
        except PyTritonClientInferenceServerError as error:
            self.is_off = not self._always
            denied = isinstance(error, PyTritonClientAccessDeniedError)
            raise self._unusable(str(error) if denied else f"{_ELSEWHERE} It says: {error}", error) from error
        self._regions.registered(region)
        return region

    def _unusable(self, reason: str, error: Exception) -> Exception:
        if not self._always:
            level = logging.DEBUG if self._has_warned else logging.WARNING
            self._has_warned = True
            _LOGGER.log(level, "%s: requests go over the wire, for %s", self._settings.what, reason)
            return _UnusableError()
        if isinstance(error, PyTritonClientAccessDeniedError):
            return error
        return PyTritonClientSharedMemoryError(
            f'{self._settings.what}: {reason}. With shared_memory="auto" requests go over the wire then.'
        )

    def _tidy(self, ask: Callable[[ops.Operation], Exchange]) -> Flow[None]:
        """Have the server forget regions that nobody will use again, those of killed processes among them."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_S
        names = LEFTOVERS.take(self._settings)
        if not self._has_looked:
            self._has_looked = True
            with contextlib.suppress(PyTritonClientInferenceServerError):
                names += filter(is_left_behind, (yield ask(ops.MemoryStatus())))
        yield from self._forget(names)


class _UnusableError(Exception):
    """Shared memory cannot be used for a request."""


def _packed(item: Input) -> Buffer:
    return encode_array(item.array, item.datatype, item.where)


def _tensor(
    item: Input, packed: Mapping[str, Buffer], sizes: Mapping[str, int], region: Region | None
) -> TensorData:
    name, shape = item.name, item.array.shape
    if region is None or name not in sizes:
        data = packed[name] if name in packed else _packed(item)
        return TensorData(name, item.datatype.name, shape, data)
    offset, size = next((offset, size) for each, offset, size in _offsets(sizes) if each == name)
    view = region.block.view(offset, size)
    if name in packed:
        view[:] = np.frombuffer(packed[name], np.uint8)
    else:
        # The one copy: strides and all.
        np.copyto(view.view(item.array.dtype).reshape(shape), item.array)
    return TensorData(name, item.datatype.name, shape, b"", (region.name, size, offset))


def _offsets(sizes: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    offset = 0
    for name, size in sizes.items():
        yield name, offset, size
        offset += _aligned(size)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _is_here(hostname: str) -> bool:
    """Whether a server is on this machine, as far as that can be told without asking anybody."""
    if hostname in ("localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(hostname)
    except ValueError:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((hostname, 0))  # only addresses of this machine can be had
        except OSError:
            return False
    return not address.is_unspecified
