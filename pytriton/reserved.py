# SPDX-License-Identifier: Apache-2.0
"""Names of request parameters that mean something to the server itself."""

from __future__ import annotations

from typing import Final

__all__ = ["is_reserved"]

_NAMES: Final = frozenset(
    ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output")
)
_PREFIX: Final = "triton_"


def is_reserved(name: str) -> bool:
    """Whether a function can have no parameter of that name."""
    return name in _NAMES or name.startswith(_PREFIX)
