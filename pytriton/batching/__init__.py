# SPDX-License-Identifier: Apache-2.0
"""Decorators that give an inference function its inputs in the form it likes."""

from __future__ import annotations

from pytriton.batching.batch import batch
from pytriton.batching.sample import sample

__all__ = ["batch", "sample"]
