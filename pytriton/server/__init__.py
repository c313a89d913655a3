# SPDX-License-Identifier: Apache-2.0
"""The tritonserver child: its options, files, process and control channel. Runs in the user's process."""

from __future__ import annotations

__all__: list[str] = []
