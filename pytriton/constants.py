# SPDX-License-Identifier: Apache-2.0
"""Names and numbers that several parts share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

__all__ = [
    "BACKEND_NAME",
    "BOOTSTRAP_MODEL_NAME",
    "CREATE_TRITON_CLIENT_TIMEOUT_S",
    "DEFAULT_GRPC_PORT",
    "DEFAULT_HTTP_PORT",
    "DEFAULT_METRICS_PORT",
    "DEFAULT_TRITON_STARTUP_TIMEOUT_S",
    "MAX_RANK",
    "MODEL_CONFIG_URL",
    "MODEL_INFER_URL",
    "MODEL_READY_URL",
    "MODEL_URL",
    "MONITORING_PERIOD_S",
    "PYTRITON_HOME",
    "TRITON_CONTEXT_FIELD_NAME",
    "TRITON_LOCAL_IP",
    "WAIT_FORM_MODEL_TIMEOUT_S",
    "pytriton_home",
]

if TYPE_CHECKING:
    PYTRITON_HOME: Path

DEFAULT_HTTP_PORT: Final = 8000
DEFAULT_GRPC_PORT: Final = 8001
DEFAULT_METRICS_PORT: Final = 8002
TRITON_LOCAL_IP: Final = "127.0.0.1"
TRITON_CONTEXT_FIELD_NAME: Final = "triton_context"
"""Keyword argument in which functions under @triton_context get the context."""
DEFAULT_TRITON_STARTUP_TIMEOUT_S: Final = 120
CREATE_TRITON_CLIENT_TIMEOUT_S: Final = 10
MONITORING_PERIOD_S: Final = 10.0
WAIT_FORM_MODEL_TIMEOUT_S: Final = 60.0

MODEL_URL: Final = "/v2/models/{model_name}"
MODEL_READY_URL: Final = f"{MODEL_URL}/ready"
MODEL_CONFIG_URL: Final = f"{MODEL_URL}/config"
MODEL_INFER_URL: Final = f"{MODEL_URL}/infer"

BACKEND_NAME: Final = "pytriton"
"""The native backend, as the server knows it."""
BOOTSTRAP_MODEL_NAME: Final = "pytriton_bootstrap"
"""The model that brings the native backend into a starting server."""
MAX_RANK: Final = 16
"""Dimensions that a tensor can have, its batch dimension included."""


def pytriton_home() -> Path:
    """Directory for temporary workspaces: PYTRITON_HOME, or the user's cache directory."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expandvars(os.environ.get("PYTRITON_HOME") or f"{cache}/pytriton")).expanduser()


def __getattr__(name: str) -> Path:
    if name == "PYTRITON_HOME":
        return pytriton_home()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
