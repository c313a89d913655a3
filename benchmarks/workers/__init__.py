# SPDX-License-Identifier: Apache-2.0
"""What worker processes are worth, and what they cost, against threads."""

from __future__ import annotations

__all__: list[str] = []
