# SPDX-License-Identifier: Apache-2.0
"""The model that the running function serves."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from pytriton.exceptions import PyTritonValidationError

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["current_model", "require_model"]

current_model: ContextVar[TritonModelConfig | None] = ContextVar("pytriton_current_model", default=None)


def require_model() -> TritonModelConfig:
    """The current model; an error outside of an inference."""
    model = current_model.get()
    if model is None:
        raise PyTritonValidationError(
            "The function is not bound to a model here, so the names of its outputs are not known. "
            'Return a dict such as {"OUTPUT_1": array}, or call it through a model that Triton.bind() made.'
        )
    return model
