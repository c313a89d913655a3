# SPDX-License-Identifier: Apache-2.0
"""Which of the server's endpoints need a token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from pytriton.exceptions import PyTritonValidationError

__all__ = [
    "DEFAULT_PROTECTED_ENDPOINTS",
    "TRITON_ACCESS_HEADER",
    "VALID_TRITON_ENDPOINTS",
    "TritonSecurityConfig",
]

VALID_TRITON_ENDPOINTS: Final = {
    "health",
    "inference",
    "logging",
    "metadata",
    "model-config",
    "model-repository",
    "shared-memory",
    "statistics",
    "trace",
}
DEFAULT_PROTECTED_ENDPOINTS: Final = ["shared-memory", "model-repository", "statistics", "trace", "logging"]
TRITON_ACCESS_HEADER: Final = "triton-access-token"
_TOKEN_BYTES: Final = 32


@dataclass
class TritonSecurityConfig:
    """Endpoints that need a token, and the token.

    Args:
        access_token: Value of the header triton-access-token; a random one if there are endpoints to protect.
        restricted_endpoints: Endpoints that need it; None is the administrative ones, [] none at all.
    """

    access_token: str | None = None
    restricted_endpoints: list[str] | None = None

    def __post_init__(self) -> None:
        if self.restricted_endpoints is None:
            self.restricted_endpoints = list(DEFAULT_PROTECTED_ENDPOINTS)
        if invalid := sorted(set(self.restricted_endpoints) - VALID_TRITON_ENDPOINTS):
            raise PyTritonValidationError(
                f"Invalid endpoint names: {', '.join(invalid)}. "
                f"Valid endpoints are: {', '.join(sorted(VALID_TRITON_ENDPOINTS))}"
            )
        if self.access_token is None and self.restricted_endpoints:
            self.access_token = secrets.token_urlsafe(_TOKEN_BYTES)

    def check(self) -> None:
        """Refuse a token that is empty, as that of a variable which is not set."""
        if self.restricted_endpoints and self.access_token == "":
            raise PyTritonValidationError(
                "TritonSecurityConfig: access_token is empty; give a token or None."
            )

    @property
    def restriction(self) -> str | None:
        """Value of the server's flags --http-restricted-api and --grpc-restricted-protocol."""
        self.check()
        if not self.restricted_endpoints or self.access_token is None:
            return None
        return f"{','.join(self.restricted_endpoints)}:{TRITON_ACCESS_HEADER}={self.access_token}"
