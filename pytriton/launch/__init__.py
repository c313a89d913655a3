# SPDX-License-Identifier: Apache-2.0
"""Serving from the command line: what a module serves, and serving it again when its files change."""

from __future__ import annotations

__all__: list[str] = []
