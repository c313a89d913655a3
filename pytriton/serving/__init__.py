# SPDX-License-Identifier: Apache-2.0
"""What stands behind `Triton` and `RemoteTriton`: what is bound, and a server from its start to its end."""

from __future__ import annotations

__all__: list[str] = []
