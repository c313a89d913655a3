# SPDX-License-Identifier: Apache-2.0
"""Measures this package side by side with its limit and its peers: see README.md."""

from __future__ import annotations

__all__: list[str] = []
