# SPDX-License-Identifier: Apache-2.0
"""Where the server of a benchmark of its own listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytriton.triton import TritonConfig

__all__ = ["loopback_config"]

_LOCAL: Final = "127.0.0.1"


def loopback_config(arguments: Sequence[str]) -> TritonConfig:
    """The options of a server that is given its HTTP, gRPC and metrics ports."""
    http, grpc, metrics = map(int, arguments)
    return TritonConfig(
        http_address=_LOCAL,
        http_port=http,
        grpc_address=_LOCAL,
        grpc_port=grpc,
        metrics_address=_LOCAL,
        metrics_port=metrics,
    )
