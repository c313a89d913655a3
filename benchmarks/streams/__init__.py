# SPDX-License-Identifier: Apache-2.0
"""How fast streams are, how soon they begin, and whether many at once are all served."""

from __future__ import annotations

__all__: list[str] = []
