# SPDX-License-Identifier: Apache-2.0
"""Names and numbers that several parts share."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BACKEND_NAME",
    "BOOTSTRAP_MODEL_NAME",
    "DEFAULT_GRPC_PORT",
    "DEFAULT_HTTP_PORT",
    "DEFAULT_METRICS_PORT",
    "MAX_RANK",
    "TRITON_LOCAL_IP",
]

DEFAULT_HTTP_PORT: Final = 8000
DEFAULT_GRPC_PORT: Final = 8001
DEFAULT_METRICS_PORT: Final = 8002
TRITON_LOCAL_IP: Final = "127.0.0.1"

BACKEND_NAME: Final = "pytriton"
"""The native backend, as the server knows it."""
BOOTSTRAP_MODEL_NAME: Final = "pytriton_bootstrap"
"""The model that brings the native backend into a starting server."""
MAX_RANK: Final = 16
"""Dimensions that a tensor can have, its batch dimension included."""
