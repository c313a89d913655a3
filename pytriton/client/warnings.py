# SPDX-License-Identifier: Apache-2.0
"""Warnings of the clients."""

from __future__ import annotations

__all__ = ["NotSupportedTimeoutWarning", "PyTritonWarning"]


class PyTritonWarning(UserWarning):
    """Base of every warning of the clients."""


class NotSupportedTimeoutWarning(PyTritonWarning):
    """A timeout that a client cannot keep; kept for filters in programs, as all timeouts are kept now."""
