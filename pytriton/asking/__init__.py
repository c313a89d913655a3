# SPDX-License-Identifier: Apache-2.0
"""One request from the command line: from text and files to arrays, and from arrays to text and files."""

from __future__ import annotations

__all__: list[str] = []
