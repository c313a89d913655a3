# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; each client lives in a module of its own."""

from __future__ import annotations

from pytriton.client._base import BaseModelClient
from pytriton.client._settings import DEFAULT_INFERENCE_TIMEOUT_S
from pytriton.client.model_client import ModelClient

__all__ = ["DEFAULT_INFERENCE_TIMEOUT_S", "BaseModelClient", "ModelClient"]
