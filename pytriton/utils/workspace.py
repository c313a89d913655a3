# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; the classes live in `pytriton.server.workspace`."""

from __future__ import annotations

from pytriton.server.workspace import CleanupWarning, Workspace

__all__ = ["CleanupWarning", "Workspace"]
