# SPDX-License-Identifier: Apache-2.0
"""A model as the server knows it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytriton import dtypes
from pytriton.constants import BACKEND_NAME
from pytriton.model_config import rules
from pytriton.model_config.common import DeviceKind, DynamicBatcher, ModelWarmup, QueuePolicy
from pytriton.model_config.model_config import ModelConfig
from pytriton.model_config.warmup_rules import check_warmups

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytriton.model_config.tensor import Tensor

__all__ = ["ResponseCache", "TensorSpec", "TritonModelConfig"]


@dataclass
class ResponseCache:
    """Whether equal requests are answered from the server's cache."""

    enable: bool


@dataclass
class TensorSpec:
    """One input or output: name, shape without the batch dimension, dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    optional: bool | None = False

    @property
    def datatype(self) -> dtypes.DataType:
        """The row of the datatype table."""
        return dtypes.resolve(self.dtype)


@dataclass
class TritonModelConfig:
    """A model as the server knows it: name, version, batching, tensors."""

    model_name: str
    model_version: int = 1
    max_batch_size: int = 4
    batching: bool = True
    batcher: DynamicBatcher | None = None
    instance_group: dict[DeviceKind, int | None] = field(default_factory=dict)
    decoupled: bool = False
    backend_parameters: dict[str, str] = field(default_factory=dict)
    inputs: Sequence[TensorSpec] | None = None
    outputs: Sequence[TensorSpec] | None = None
    response_cache: ResponseCache | None = None
    model_warmup: list[ModelWarmup] | None = None
    shared_memory_bytes: int | None = None
    worker_shared_memory_bytes: int | None = None
    stream_memory_bytes: int | None = None

    @property
    def backend(self) -> str:
        """Name of the backend that serves the model."""
        return BACKEND_NAME

    @property
    def has_queue_policy(self) -> bool:
        """Whether the server's queue of the model has limits, timeouts or priorities."""
        batcher = self.batcher
        return isinstance(batcher, DynamicBatcher) and (
            batcher.priority_levels > 0 or batcher.default_queue_policy not in (None, QueuePolicy())
        )

    @classmethod
    def create(
        cls,
        model_name: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        config: ModelConfig | None = None,
        *,
        model_version: int = 1,
        instances: int = 1,
    ) -> TritonModelConfig:
        """Describe a model to bind: every rule is checked, and later changes to `config` change nothing."""
        config = ModelConfig() if config is None else config
        rules.check_config(model_name, config)
        rules.check_tensors(model_name, "input", inputs)
        rules.check_tensors(model_name, "output", outputs)
        model = cls(
            model_name=model_name,
            model_version=model_version,
            max_batch_size=config.max_batch_size,
            batching=config.batching,
            batcher=copy.deepcopy(config.batcher),
            instance_group={DeviceKind.KIND_CPU: instances},
            decoupled=config.decoupled,
            inputs=_specs(inputs, "INPUT"),
            outputs=_specs(outputs, "OUTPUT"),
            response_cache=ResponseCache(enable=True) if config.response_cache else None,
            shared_memory_bytes=config.shared_memory_bytes,
            worker_shared_memory_bytes=config.worker_shared_memory_bytes,
            stream_memory_bytes=config.stream_memory_bytes,
        )
        rules.check_model(model)
        # The server does not see it: the workers do it before they attach.
        check_warmups(model, config.model_warmup)
        return model


def _specs(tensors: Sequence[Tensor], prefix: str) -> list[TensorSpec]:
    return [
        TensorSpec(tensor.name or f"{prefix}_{position}", tensor.shape, tensor.dtype, tensor.optional)
        for position, tensor in enumerate(tensors, start=1)
    ]
