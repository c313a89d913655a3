# SPDX-License-Identifier: Apache-2.0
"""Worker processes as their application sees them: what they are sent, and what is done when they fail."""

from __future__ import annotations

__all__: list[str] = []
