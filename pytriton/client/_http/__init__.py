# SPDX-License-Identifier: Apache-2.0
"""HTTP: the v2 protocol and Triton's generate extension, and transports of both, blocking and for asyncio."""

from __future__ import annotations
