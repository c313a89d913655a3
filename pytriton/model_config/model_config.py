# SPDX-License-Identifier: Apache-2.0
"""Options of a model, as given to bind."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytriton.model_config.common import DynamicBatcher, ModelWarmup, whole

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
        batches_in_flight: Batches that a worker takes at a time; by default 1, or 64 of a decoupled model.
            More than one is of use to coroutines and generators, which then run side by side.
        cancel_coroutines: Whether a coroutine is cancelled when nobody wants its result any more. Generators
            are closed in any case.
        shared_memory_bytes: Shared memory that batches of the model are in, of all its workers together; by
            default as much as all models have (Limits.shared_memory_bytes).
        worker_shared_memory_bytes: The same, of one worker; by default 6 GiB, or as much as the model has.
        stream_memory_bytes: What the server may hold of one stream whose client does not read it, before the
            stream ends with an error; by default 1 GiB, or as much as all streams have
            (Limits.stream_memory_bytes).
        model_warmup: Requests to send to the model before it counts as ready.
    """

    batching: bool = True
    max_batch_size: int = 4
    batcher: DynamicBatcher | None = field(default_factory=DynamicBatcher)
    response_cache: bool = False
    decoupled: bool = False
    model_warmup: list[ModelWarmup] | None = None
    batches_in_flight: int | None = None
    cancel_coroutines: bool = False
    shared_memory_bytes: int | None = None
    worker_shared_memory_bytes: int | None = None
    stream_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        self.max_batch_size = whole(self.max_batch_size)
