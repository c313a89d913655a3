# SPDX-License-Identifier: Apache-2.0
"""Where the values of options come from: file, environment, code and arguments, in that order."""

from __future__ import annotations

__all__: list[str] = []
