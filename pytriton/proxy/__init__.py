# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; the classes live in `pytriton.request`."""

from __future__ import annotations

__all__: list[str] = []
