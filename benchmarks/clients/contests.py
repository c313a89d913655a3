# SPDX-License-Identifier: Apache-2.0
"""What is compared, and what must come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.clients.contestants import (
    TEN_MB,
    Ports,
    ask_bare,
    ask_ours,
    ask_theirs,
    flood_ours,
    flood_theirs,
)
from pytriton.client.options import Retry

__all__ = ["Contest", "contests"]

_IN_FLIGHT = 64
_FLOOD = 1500


@dataclass(frozen=True)
class Contest:
    """Two ways of doing the same; the time of `peer` over that of `ours` must be `least` or more."""

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object]
    least: float
    repeat: int
    """How often each does it within a round."""


def contests(ports: Ports) -> Iterator[Contest]:
    """All of them."""
    small = np.ones(4, np.float32)
    strings = np.array([b"x" * (index % 37) for index in range(10_000)], object)
    hundred = np.ones(25_000_000, np.float32)
    ours, theirs = ask_ours(ports, "http", small), ask_theirs(ports, "http", small)
    yield Contest("small, HTTP: tritonclient / ours", ours, theirs, 1.0, 200)
    yield Contest("small, HTTP: http.client / ours", ours, ask_bare(ports, small), 1 / 1.3, 200)
    ours, theirs = ask_ours(ports, "grpc", small), ask_theirs(ports, "grpc", small)
    yield Contest("small, gRPC: tritonclient / ours", ours, theirs, 1 / 1.15, 200)
    for protocol, least in (("http", 1.5), ("grpc", 1 / 1.15)):
        flood = (flood_ours(ports, protocol, small, _IN_FLIGHT, _FLOOD),)
        peer = flood_theirs(ports, protocol, small, _IN_FLIGHT, _FLOOD)
        yield Contest(f"asyncio, 64 in flight, {protocol}: tritonclient / ours", *flood, peer, least, 1)
    for protocol in ("http", "grpc"):
        ours, theirs = ask_ours(ports, protocol, strings), ask_theirs(ports, protocol, strings)
        yield Contest(f"10,000 strings, {protocol}: tritonclient / ours", ours, theirs, 3.0, 10)
    ours, theirs = ask_ours(ports, "http", hundred), ask_theirs(ports, "http", hundred)
    yield Contest("100 MB, HTTP: tritonclient / ours", ours, theirs, 1.0, 1)
    yield Contest("100 MB, HTTP: http.client / ours", ours, ask_bare(ports, hundred), 1 / 1.3, 1)
    ten = np.ones(TEN_MB, np.float32)
    for protocol in ("http", "grpc"):
        for model, retry in (("ten", None), ("echo", Retry(1, idempotent=True))):
            shape = "fixed" if model == "ten" else "free"
            ours = ask_ours(ports, protocol, ten, model, shared_memory="auto", retry=retry)
            wire = ask_ours(ports, protocol, ten, model)
            yield Contest(f"10 MB, {shape} shape, {protocol}: wire / shared memory", ours, wire, 3.0, 3)
