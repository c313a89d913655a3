# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; each client lives in a module of its own."""

from __future__ import annotations

from pytriton.client._base.client import BaseModelClient
from pytriton.client._core.settings import DEFAULT_INFERENCE_TIMEOUT_S
from pytriton.client.asyncio_decoupled_model_client import AsyncioDecoupledModelClient
from pytriton.client.asyncio_model_client import AsyncioModelClient
from pytriton.client.decoupled_model_client import DecoupledModelClient
from pytriton.client.futures_model_client import FuturesModelClient
from pytriton.client.model_client import ModelClient

__all__ = [
    "DEFAULT_INFERENCE_TIMEOUT_S",
    "AsyncioDecoupledModelClient",
    "AsyncioModelClient",
    "BaseModelClient",
    "DecoupledModelClient",
    "FuturesModelClient",
    "ModelClient",
]
