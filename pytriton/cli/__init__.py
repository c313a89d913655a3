# SPDX-License-Identifier: Apache-2.0
"""The command line; every command has a file."""

from __future__ import annotations

__all__: list[str] = []
