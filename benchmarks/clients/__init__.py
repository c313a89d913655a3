# SPDX-License-Identifier: Apache-2.0
"""Our clients against NVIDIA's and against bare HTTP, on one server: `python -m benchmarks.clients`."""

from __future__ import annotations

__all__: list[str] = []
