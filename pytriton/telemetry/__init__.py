# SPDX-License-Identifier: Apache-2.0
"""Spans for inference functions, with OpenTelemetry, where it is installed and wanted."""

from __future__ import annotations

__all__: list[str] = []
