# SPDX-License-Identifier: Apache-2.0
"""What the public clients have in common, blocking and for asyncio."""

from __future__ import annotations
