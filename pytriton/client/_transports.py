# SPDX-License-Identifier: Apache-2.0
"""Which blocking transport a URL needs."""

from __future__ import annotations

from collections.abc import Callable

from pytriton.client._core.flow import Transport
from pytriton.client._core.settings import Settings

__all__ = ["transport_type"]


def transport_type(settings: Settings) -> Callable[[Settings], Transport]:
    """The transport for a URL; only what it needs is loaded."""
    if settings.url.protocol == "grpc":
        from pytriton.client._grpc.transport import GrpcTransport

        return GrpcTransport
    from pytriton.client._http.transport import HttpTransport

    return HttpTransport
