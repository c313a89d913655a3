# SPDX-License-Identifier: Apache-2.0
"""gRPC: the v2 protocol, and its transports, blocking and for asyncio."""

from __future__ import annotations
