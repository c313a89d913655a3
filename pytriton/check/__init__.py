# SPDX-License-Identifier: Apache-2.0
"""Find out whether this machine can serve: what it has, and an example that runs."""

from __future__ import annotations

__all__: list[str] = []
