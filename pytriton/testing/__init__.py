# SPDX-License-Identifier: Apache-2.0
"""Testing models: without a server, and with one on free ports."""

from __future__ import annotations

from pytriton.testing.client import TestClient
from pytriton.testing.server import TestServer, serving

__all__ = ["TestClient", "TestServer", "serving"]
