# SPDX-License-Identifier: Apache-2.0
"""What runs where the user's function runs: takes batches out of shared memory and puts results there."""

from __future__ import annotations

__all__: list[str] = []
