# SPDX-License-Identifier: Apache-2.0
"""What gRPC says of models, in the words of HTTP's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pytriton import dtypes
from pytriton.client._core import operations as ops

__all__ = ["config", "index", "metadata", "statistics"]

_KINDS: Final = ("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL")
_TIMEOUT_ACTIONS: Final = ("REJECT", "DELAY")


def metadata(response: Any) -> dict[str, Any]:
    """Model metadata."""
    return {
        "name": response.name,
        "versions": list(response.versions),
        "platform": response.platform,
        "inputs": [_tensor_metadata(tensor) for tensor in response.inputs],
        "outputs": [_tensor_metadata(tensor) for tensor in response.outputs],
    }


def _tensor_metadata(tensor: Any) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def config(response: Any) -> dict[str, Any]:
    """A model configuration."""
    described = response.config
    document: dict[str, Any] = {
        "name": described.name,
        "backend": described.backend,
        "max_batch_size": described.max_batch_size,
        "version_policy": {"specific": {"versions": list(described.version_policy.specific.versions)}},
        "input": _tensors(described.input),
        "output": _tensors(described.output),
        "instance_group": [
            {"kind": _choice(_KINDS, group.kind), "count": group.count} for group in described.instance_group
        ],
        "parameters": {
            name: {"string_value": value.string_value} for name, value in described.parameters.items()
        },
        "model_transaction_policy": {"decoupled": described.model_transaction_policy.decoupled},
    }
    if described.HasField("dynamic_batching"):
        document["dynamic_batching"] = _batching(described.dynamic_batching)
    if described.HasField("response_cache"):
        document["response_cache"] = {"enable": described.response_cache.enable}
    return document


def _tensors(tensors: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": tensor.name,
            "data_type": dtypes.from_number(tensor.data_type).config_name,
            "dims": list(tensor.dims),
            "optional": getattr(tensor, "optional", False),
            "reshape": {"shape": list(tensor.reshape.shape)} if tensor.HasField("reshape") else None,
        }
        for tensor in tensors
    ]


def _batching(batching: Any) -> dict[str, Any]:
    policies: Mapping[int, Any] = batching.priority_queue_policy
    document = {
        "preferred_batch_size": list(batching.preferred_batch_size),
        "max_queue_delay_microseconds": batching.max_queue_delay_microseconds,
        "preserve_ordering": batching.preserve_ordering,
        "priority_levels": batching.priority_levels,
        "default_priority_level": batching.default_priority_level,
        "priority_queue_policy": {level: _queue_policy(policy) for level, policy in policies.items()},
    }
    if batching.HasField("default_queue_policy"):
        document["default_queue_policy"] = _queue_policy(batching.default_queue_policy)
    return document


def _queue_policy(policy: Any) -> dict[str, Any]:
    return {
        "timeout_action": _choice(_TIMEOUT_ACTIONS, policy.timeout_action),
        "default_timeout_microseconds": policy.default_timeout_microseconds,
        "allow_timeout_override": policy.allow_timeout_override,
        "max_queue_size": policy.max_queue_size,
    }


def _choice(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else ""


def statistics(response: Any) -> list[dict[str, Any]]:
    """Statistics of a model."""
    return [
        {
            "name": model.name,
            "version": model.version,
            "last_inference": model.last_inference,
            "inference_count": model.inference_count,
            "execution_count": model.execution_count,
            "inference_stats": _durations(model.inference_stats),
            "batch_stats": [
                {"batch_size": each.batch_size, **_durations(each)} for each in model.batch_stats
            ],
        }
        for model in response.model_stats
    ]


def _durations(statistics: Any) -> dict[str, dict[str, int]]:
    return {
        field.name: {"count": value.count, "ns": value.ns}
        for field in statistics.DESCRIPTOR.fields
        if field.message_type is not None
        for value in (getattr(statistics, field.name),)
    }


def index(response: Any) -> list[ops.ModelEntry]:
    """A repository index."""
    return [ops.ModelEntry(entry.name, entry.version, entry.state, entry.reason) for entry in response.models]
