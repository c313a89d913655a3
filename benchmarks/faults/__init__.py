# SPDX-License-Identifier: Apache-2.0
"""The same faults given to this package and to its peers, side by side."""

from __future__ import annotations

__all__: list[str] = []
