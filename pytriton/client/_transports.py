# SPDX-License-Identifier: Apache-2.0
"""Which transport a URL needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytriton.client._core.flow import Transport
from pytriton.client._core.settings import Settings

if TYPE_CHECKING:
    from pytriton.client._core.flow_aio import AsyncTransport

__all__ = ["async_transport_type", "transport_type"]


def transport_type(settings: Settings) -> Callable[[Settings], Transport]:
    """The blocking transport for a URL; only what it needs is loaded."""
    if settings.url.protocol == "grpc":
        from pytriton.client._grpc.transport import GrpcTransport

        return GrpcTransport
    from pytriton.client._http.transport import HttpTransport

    return HttpTransport


def async_transport_type(settings: Settings) -> Callable[[Settings], AsyncTransport]:
    """The transport for a URL in one event loop; only what it needs is loaded."""
    if settings.url.protocol == "grpc":
        from pytriton.client._grpc.transport_aio import AsyncGrpcTransport

        return AsyncGrpcTransport
    from pytriton.client._http.transport_aio import AsyncHttpTransport

    return AsyncHttpTransport
