# SPDX-License-Identifier: Apache-2.0
"""The number of rows of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytriton.exceptions import PyTritonValidationError
from pytriton.request import Request

__all__ = ["get_inference_request_batch_size"]


def get_inference_request_batch_size(inference_request: Request | Mapping[str, Any]) -> int:
    """The size of the first dimension of the first input."""
    first = next(iter(inference_request.values()), None)
    if first is None or first.ndim == 0:
        raise PyTritonValidationError(
            "A request without inputs, or whose first input has no dimensions, has no batch size; "
            "use @sample for models without batching."
        )
    return int(first.shape[0])
