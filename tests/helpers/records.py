# SPDX-License-Identifier: Apache-2.0
"""Records of requests that know nothing but rows."""

from __future__ import annotations

from pytriton.request import ParameterValue

__all__ = ["Records"]


class Records:
    """What a RequestBatch wants to know of its requests."""

    def __init__(self, *rows: int) -> None:
        self._rows = list(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[int]:
        return self._rows

    def parameters(self, index: int) -> dict[str, ParameterValue]:
        return {}

    def id(self, index: int) -> str:
        return ""

    def timeout_us(self, index: int) -> int:
        return 0

    def received_ns(self) -> int:
        return 0

    def is_cancelled(self, index: int) -> bool:
        return False

    def requested_output_names(self, index: int) -> list[str]:
        return []

    def trace_context(self, index: int) -> str:
        return ""
