# SPDX-License-Identifier: Apache-2.0
"""Load on a model of any v2 server, and what it makes of it: rates, latencies, sweeps."""

from __future__ import annotations

__all__: list[str] = []
