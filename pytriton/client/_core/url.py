# SPDX-License-Identifier: Apache-2.0
"""Where a server is: scheme, host and port."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pytriton.client._core import advice
from pytriton.client.exceptions import PyTritonClientInvalidUrlError
from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT

__all__ = ["TritonUrl"]

_LOGGER = logging.getLogger(__name__)
_DEFAULT_PORTS: Final = {
    "http": DEFAULT_HTTP_PORT,
    "https": DEFAULT_HTTP_PORT,
    "grpc": DEFAULT_GRPC_PORT,
    "grpcs": DEFAULT_GRPC_PORT,
}
_EXPECTED: Final = "expected [scheme://]host[:port] with scheme http, https, grpc or grpcs"


@dataclass(frozen=True)
class TritonUrl:
    """Scheme, host and port of a server's endpoint."""

    scheme: str
    hostname: str
    port: int

    @classmethod
    def from_url(cls, url: Any) -> TritonUrl:
        """Read `[scheme://]host[:port]`; the scheme is http, the port 8000 or 8001 (gRPC) if not given."""
        if not isinstance(url, str):
            raise PyTritonClientInvalidUrlError(
                f"Invalid url {url!r}: it is of type {type(url).__name__}; {_EXPECTED}."
            )
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            hostname, port = parts.hostname, parts.port
        except ValueError as error:
            raise PyTritonClientInvalidUrlError(f"Invalid url {url!r}: {error}; {_EXPECTED}.") from None
        scheme = parts.scheme.lower()
        if scheme not in _DEFAULT_PORTS:
            raise PyTritonClientInvalidUrlError(
                f"Invalid url {url!r}: unknown scheme {scheme!r}; {_EXPECTED}."
            )
        if not hostname or any(character.isspace() or not character.isprintable() for character in hostname):
            raise PyTritonClientInvalidUrlError(f"Invalid url {url!r}: no host name; {_EXPECTED}.")
        try:
            hostname.encode(
                "idna"
            )  # as the resolver does, whose error would be taken for one of the connection
        except UnicodeError as error:
            raise PyTritonClientInvalidUrlError(
                f"Invalid url {url!r}: there is no host of that name ({error}); {_EXPECTED}."
            ) from None
        if port == 0:
            raise PyTritonClientInvalidUrlError(f"Invalid url {url!r}: there is no port 0; {_EXPECTED}.")
        found = cls(scheme, hostname, _DEFAULT_PORTS[scheme] if port is None else port)
        if "@" in parts.netloc:
            _LOGGER.warning(
                "The url of %s has a user name or password, which is not sent; %s",
                found.with_scheme,
                advice.CREDENTIALS,
            )
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            _LOGGER.warning("Of the url of %s all that follows the port is left out.", found.with_scheme)
        return found

    @property
    def protocol(self) -> str:
        """The protocol behind the scheme: http or grpc."""
        return self.scheme.removesuffix("s")

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.scheme.endswith("s")

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine's loopback interface."""
        return self.hostname in ("localhost", "::1") or self.hostname.startswith("127.")

    @property
    def without_scheme(self) -> str:
        """`host:port`; the address of IPv6 is in brackets."""
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return f"{host}:{self.port}"

    @property
    def with_scheme(self) -> str:
        """`scheme://host:port`."""
        return f"{self.scheme}://{self.without_scheme}"
