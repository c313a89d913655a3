# SPDX-License-Identifier: Apache-2.0
"""What a server says about a model, as TritonModelConfig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pytriton import dtypes
from pytriton.client.exceptions import PyTritonClientProtocolError
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config.common import DeviceKind, DynamicBatcher, QueuePolicy, TimeoutAction
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig

__all__ = ["config_from_json", "config_from_metadata"]

_UNLIMITED: Final = 2**31 - 1
_KINDS: Final = {kind.value: kind for kind in DeviceKind}


def config_from_json(document: Any) -> TritonModelConfig:
    """Read a model configuration in the server's JSON form."""
    try:
        return _config(document)
    except (AttributeError, KeyError, TypeError, ValueError, PyTritonValidationError) as error:
        raise PyTritonClientProtocolError(
            f"The server sent a model configuration that cannot be read: {type(error).__name__}: {error}."
        ) from error


def config_from_metadata(document: Any) -> TritonModelConfig:
    """Read model metadata, where a server gives no configuration.

    They do not tell the batch dimension: if every tensor begins with a free dimension, that is it.
    """
    try:
        inputs, outputs = document.get("inputs") or [], document.get("outputs") or []
        shapes = [tensor.get("shape") or [] for tensor in [*inputs, *outputs]]
        batching = bool(inputs) and all(shape and int(shape[0]) == -1 for shape in shapes)
        return TritonModelConfig(
            model_name=document["name"],
            model_version=_version(document.get("versions")),
            max_batch_size=_UNLIMITED if batching else 0,
            batching=batching,
            inputs=[_spec_of_metadata(tensor, batching) for tensor in inputs],
            outputs=[_spec_of_metadata(tensor, batching) for tensor in outputs],
        )
    except (AttributeError, KeyError, TypeError, ValueError, PyTritonValidationError) as error:
        raise PyTritonClientProtocolError(
            f"The server sent model metadata that cannot be read: {type(error).__name__}: {error}."
        ) from error


def _config(document: Mapping[str, Any]) -> TritonModelConfig:
    max_batch_size = int(document.get("max_batch_size") or 0)
    parameters: Mapping[str, Any] = document.get("parameters") or {}
    cache = document.get("response_cache")
    return TritonModelConfig(
        model_name=document["name"],
        model_version=_version((document.get("version_policy") or {}).get("specific", {}).get("versions")),
        max_batch_size=max_batch_size,
        batching=max_batch_size > 0,
        batcher=_batcher(document.get("dynamic_batching")),
        instance_group={
            _KINDS[group["kind"]]: int(group.get("count") or 0) or None
            for group in document.get("instance_group") or ()
            if group.get("kind") in _KINDS  # there are others, which mean something to other backends
        },
        decoupled=bool((document.get("model_transaction_policy") or {}).get("decoupled")),
        backend_parameters={name: value.get("string_value", "") for name, value in parameters.items()},
        inputs=[_spec(tensor) for tensor in document.get("input") or ()],
        outputs=[_spec(tensor) for tensor in document.get("output") or ()],
        response_cache=None if cache is None else ResponseCache(enable=bool(cache.get("enable"))),
    )


def _version(versions: Sequence[Any] | None) -> int:
    numbers = [int(version) for version in versions or () if str(version).isdecimal()]
    return max(numbers, default=1)


def _spec(tensor: Mapping[str, Any]) -> TensorSpec:
    dtype = dtypes.from_config_name(tensor["data_type"])
    shape = tuple(int(size) for size in tensor.get("dims") or ())
    return TensorSpec(tensor["name"], shape, _scalar(dtype), bool(tensor.get("optional")))


def _spec_of_metadata(tensor: Mapping[str, Any], batching: bool) -> TensorSpec:
    shape = tuple(int(size) for size in tensor.get("shape") or ())
    return TensorSpec(tensor["name"], shape[batching:], _scalar(dtypes.from_name(tensor["datatype"])))


def _scalar(row: dtypes.DataType) -> Any:
    # Of types that may be missing here (bfloat16) the name will do; TensorSpec.datatype resolves it.
    return row.numpy_name if row.numpy_name == "bfloat16" else dtypes.scalar_type(row.name)


def _batcher(document: Mapping[str, Any] | None) -> DynamicBatcher | None:
    if document is None:
        return None
    default = document.get("default_queue_policy")
    policies = document.get("priority_queue_policy") or {}
    return DynamicBatcher(
        max_queue_delay_microseconds=int(document.get("max_queue_delay_microseconds") or 0),
        preferred_batch_size=[int(size) for size in document.get("preferred_batch_size") or ()] or None,
        preserve_ordering=bool(document.get("preserve_ordering")),
        priority_levels=int(document.get("priority_levels") or 0),
        default_priority_level=int(document.get("default_priority_level") or 0),
        default_queue_policy=None if default is None else _queue_policy(default),
        priority_queue_policy={int(level): _queue_policy(policy) for level, policy in policies.items()}
        or None,
    )


def _queue_policy(document: Mapping[str, Any]) -> QueuePolicy:
    return QueuePolicy(
        timeout_action=TimeoutAction(document.get("timeout_action", "REJECT")),
        default_timeout_microseconds=int(document.get("default_timeout_microseconds") or 0),
        allow_timeout_override=bool(document.get("allow_timeout_override")),
        max_queue_size=int(document.get("max_queue_size") or 0),
    )
