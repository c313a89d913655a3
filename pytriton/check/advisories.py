# SPDX-License-Identifier: Apache-2.0
"""Known vulnerabilities of servers, by their version; SECURITY.md has the whole story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BUNDLED_VERSION", "Advisory", "advisories_for"]

BUNDLED_VERSION: Final = "2.51.0"
"""Version of the server that comes with the package."""


@dataclass(frozen=True)
class Advisory:
    """One vulnerability."""

    name: str
    summary: str
    fixed_in: tuple[int, int, int]


_OVERFLOW: Final = "stack overflow in the HTTP front end that a crafted request triggers"
_RELEASE_25_07: Final = (2, 59, 1)
# NVIDIA's bulletin of August 2025. Later ones concern newer servers too: no version is free of all of them.
_ADVISORIES: Final = (
    Advisory("CVE-2025-23310", _OVERFLOW, _RELEASE_25_07),
    Advisory("CVE-2025-23311", _OVERFLOW, _RELEASE_25_07),
    Advisory("CVE-2025-23317", "a crafted HTTP request may run code in the server", _RELEASE_25_07),
)


def advisories_for(version: str) -> list[Advisory]:
    """What is known of a version, such as "2.51.0"; a version that cannot be read has everything."""
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
    return [advisory for advisory in _ADVISORIES if numbers < advisory.fixed_in]
