# SPDX-License-Identifier: Apache-2.0
"""Options of a model, as given to bind."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytriton.model_config.common import DynamicBatcher, ModelWarmup

__all__ = ["ModelConfig"]


@dataclass
class ModelConfig:
    """Options of a model.

    Args:
        batching: Whether the first dimension of every tensor is the batch.
        max_batch_size: Rows of the largest batch; without meaning when batching is off.
        batcher: How requests are gathered into batches; None sends each request off alone.
        response_cache: Whether equal requests are answered from the server's cache.
        decoupled: Whether a request may have any number of responses (streaming).
        model_warmup: Requests to send to the model before it counts as ready.
    """

    batching: bool = True
    max_batch_size: int = 4
    batcher: DynamicBatcher | None = field(default_factory=DynamicBatcher)
    response_cache: bool = False
    decoupled: bool = False
    model_warmup: list[ModelWarmup] | None = None
