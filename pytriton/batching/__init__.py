# SPDX-License-Identifier: Apache-2.0
"""Decorators that give an inference function its inputs in the form it likes."""

from __future__ import annotations

from pytriton.batching.batch import batch
from pytriton.batching.constant_padder import ConstantPadder
from pytriton.batching.current import CurrentBatch, CurrentRequest, current_batch, current_request
from pytriton.batching.fill_optionals import fill_optionals
from pytriton.batching.first_value import first_value
from pytriton.batching.group_by_keys import group_by_keys
from pytriton.batching.group_by_values import group_by_values
from pytriton.batching.pad_batch import pad_batch
from pytriton.batching.sample import sample
from pytriton.batching.triton_context import triton_context

__all__ = [
    "ConstantPadder",
    "CurrentBatch",
    "CurrentRequest",
    "batch",
    "current_batch",
    "current_request",
    "fill_optionals",
    "first_value",
    "group_by_keys",
    "group_by_values",
    "pad_batch",
    "sample",
    "triton_context",
]
