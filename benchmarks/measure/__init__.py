# SPDX-License-Identifier: Apache-2.0
"""The measurements of one run."""

from __future__ import annotations

__all__: list[str] = []
