# SPDX-License-Identifier: Apache-2.0
"""One thing that was looked at, and what came out."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "Status"]


class Status(enum.Enum):
    """How it is."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: a failed one means that this machine cannot serve."""

    name: str
    status: Status
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        return {"name": self.name, "status": self.status.value, "text": self.text, **self.details}
