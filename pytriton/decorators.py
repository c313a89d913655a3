# SPDX-License-Identifier: Apache-2.0
"""Decorators for inference functions; each lives in a file of its own in `pytriton.batching`."""

from __future__ import annotations

from pytriton.batching import batch, sample

__all__ = ["batch", "sample"]
