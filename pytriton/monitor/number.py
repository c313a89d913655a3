# SPDX-License-Identifier: Apache-2.0
"""Numbers for people."""

from __future__ import annotations

__all__ = ["number"]


def number(value: float | None) -> str:
    """A number with three digits that mean something; empty for None."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    magnitude = abs(value)
    digits = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3
    return f"{value:,.{digits}f}"
