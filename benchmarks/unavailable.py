# SPDX-License-Identifier: Apache-2.0
"""The one expected failure: something that a subject or a load needs is not on this machine."""

from __future__ import annotations

__all__ = ["Unavailable"]


class Unavailable(Exception):
    """A subject or load cannot run here; the message is recorded as the reason."""
