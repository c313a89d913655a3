# SPDX-License-Identifier: Apache-2.0
"""URLs of the endpoints of a server, from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DEFAULT_METRICS_PORT
from pytriton.exceptions import PyTritonValidationError
from pytriton.server.config import TritonConfig
from pytriton.server.ports import Endpoint

__all__ = ["get_endpoint"]

_ENDPOINTS: Final[Mapping[str, tuple[str, tuple[str, ...], int]]] = {
    "http": ("http", ("http_address",), DEFAULT_HTTP_PORT),
    "grpc": ("grpc", ("grpc_address",), DEFAULT_GRPC_PORT),
    "metrics": ("http", ("metrics_address", "http_address"), DEFAULT_METRICS_PORT),
}
_WILDCARD: Final = "0.0.0.0"


def get_endpoint(
    server_config: TritonConfig | Mapping[str, Any], endpoint: Literal["http", "grpc", "metrics"]
) -> str:
    """URL at which a client on this machine reaches an endpoint: "http://127.0.0.1:8000".

    Args:
        server_config: A TritonConfig, or its fields by name; dashes do for underscores.
        endpoint: Which of the server's endpoints.
    """
    if endpoint not in _ENDPOINTS:
        raise PyTritonValidationError(f"endpoint must be one of {', '.join(_ENDPOINTS)}, got {endpoint!r}.")
    given = server_config.to_dict() if isinstance(server_config, TritonConfig) else dict(server_config)
    fields = {name.replace("-", "_"): value for name, value in given.items()}
    scheme, address_fields, default_port = _ENDPOINTS[endpoint]
    address = next((fields[name] for name in address_fields if fields.get(name)), _WILDCARD)
    port = int(fields.get(f"{endpoint}_port") or default_port)
    return f"{scheme}://{Endpoint(endpoint, endpoint, str(address), port).local}"
