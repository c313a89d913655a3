# SPDX-License-Identifier: Apache-2.0
"""The header with which requests show their token to restricted endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["create_auth_headers", "extract_access_token_from_headers"]

_HEADERS: Final = {
    "http": "triton-access-token",
    # Triton puts this prefix before the names of headers that it reads from gRPC metadata.
    "grpc": "triton-grpc-protocol-triton-access-token",
}


def create_auth_headers(access_token: str | None, protocol: str) -> dict[str, str]:
    """The header for a token.

    Args:
        access_token: The server's token. None and the empty text are none, and a ValueError.
        protocol: "http" or "grpc".
    """
    if not access_token:
        raise ValueError("There is no access token to make a header of; without one, send no header.")
    try:
        return {_HEADERS[protocol.lower()]: access_token}
    except KeyError:
        raise ValueError(f'Unknown protocol {protocol!r}; it must be "http" or "grpc".') from None


def extract_access_token_from_headers(headers: Mapping[str, str] | None) -> str | None:
    """The token that headers of either protocol carry, None if there is none.

    Args:
        headers: Headers of a request; the case of their names does not count.
    """
    tokens = {value for name, value in (headers or {}).items() if name.lower() in _HEADERS.values() and value}
    if len(tokens) > 1:
        raise ValueError("The headers carry different access tokens for HTTP and gRPC; give one of them.")
    return tokens.pop() if tokens else None
