# SPDX-License-Identifier: Apache-2.0
"""Decorators for inference functions, and what decorators of one's own are made with.

Each lives in a file of its own in `pytriton.batching`.
"""

from __future__ import annotations

from pytriton.batching.aliases import (
    InferenceRequest,
    InferenceRequests,
    InferenceResult,
    InferenceResults,
    InputNames,
)
from pytriton.batching.batch import batch
from pytriton.batching.batch_size import get_inference_request_batch_size
from pytriton.batching.constant_padder import ConstantPadder
from pytriton.batching.fill_optionals import fill_optionals
from pytriton.batching.first_value import first_value
from pytriton.batching.group_by_keys import group_by_keys
from pytriton.batching.group_by_values import group_by_values
from pytriton.batching.outputs import convert_output
from pytriton.batching.pad_batch import pad_batch
from pytriton.batching.sample import sample
from pytriton.batching.triton_context import (
    ModelConfigDict,
    TritonContext,
    get_model_config,
    get_triton_context,
    triton_context,
)

__all__ = [
    "ConstantPadder",
    "InferenceRequest",
    "InferenceRequests",
    "InferenceResult",
    "InferenceResults",
    "InputNames",
    "ModelConfigDict",
    "TritonContext",
    "batch",
    "convert_output",
    "fill_optionals",
    "first_value",
    "get_inference_request_batch_size",
    "get_model_config",
    "get_triton_context",
    "group_by_keys",
    "group_by_values",
    "pad_batch",
    "sample",
    "triton_context",
]
