# SPDX-License-Identifier: Apache-2.0
"""Import paths of earlier versions for small things that now live elsewhere."""

from __future__ import annotations

__all__: list[str] = []
