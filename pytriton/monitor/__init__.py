# SPDX-License-Identifier: Apache-2.0
"""A look at any server of the v2 protocol: its models, their statistics, its metrics."""

from __future__ import annotations

__all__: list[str] = []
