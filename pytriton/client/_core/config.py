# SPDX-License-Identifier: Apache-2.0
"""What a server says about a model, as TritonModelConfig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pytriton import dtypes
from pytriton.client.exceptions import PyTritonClientProtocolError
from pytriton.exceptions import PyTritonError
from pytriton.model_config.common import DeviceKind
from pytriton.model_config.parser import ModelConfigParser
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = ["UNLIMITED", "config_from_json", "config_from_metadata", "wire_shapes"]

UNLIMITED: Final = 2**31 - 1
_KINDS: Final = frozenset(kind.value for kind in DeviceKind)


def config_from_json(document: Any) -> TritonModelConfig:
    """Read a model configuration in the server's JSON form."""
    try:
        # There are kinds of instances that mean something to other backends only.
        groups = [group for group in document.get("instance_group") or () if group.get("kind") in _KINDS]
        config = ModelConfigParser.from_dict({**document, "instance_group": groups, "model_warmup": None})
        config.model_version = _version(
            (document.get("version_policy") or {}).get("specific", {}).get("versions")
        )
        return config
    except (AttributeError, KeyError, TypeError, ValueError, PyTritonError) as error:
        raise PyTritonClientProtocolError(
            f"The server sent a model configuration that cannot be read: {type(error).__name__}: {error}."
        ) from error


def wire_shapes(document: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes in requests of the inputs whose shape in the model is another: those with `reshape`."""
    inputs = document.get("input") or ()
    return {
        tensor["name"]: tuple(map(int, tensor["dims"]))
        for tensor in inputs
        if tensor.get("reshape") is not None
    }


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
            max_batch_size=UNLIMITED if batching else 0,
            batching=batching,
            inputs=[_spec_of_metadata(tensor, batching) for tensor in inputs],
            outputs=[_spec_of_metadata(tensor, batching) for tensor in outputs],
        )
    except (AttributeError, KeyError, TypeError, ValueError, PyTritonError) as error:
        raise PyTritonClientProtocolError(
            f"The server sent model metadata that cannot be read: {type(error).__name__}: {error}."
        ) from error


def _version(versions: Sequence[Any] | None) -> int:
    numbers = [int(version) for version in versions or () if str(version).isdecimal()]
    return max(numbers, default=1)


def _spec_of_metadata(tensor: Mapping[str, Any], batching: bool) -> TensorSpec:
    shape = tuple(int(size) for size in tensor.get("shape") or ())
    return TensorSpec(tensor["name"], shape[batching:], _scalar(dtypes.from_name(tensor["datatype"])))


def _scalar(row: dtypes.DataType) -> Any:
    # Of types that may be missing here (bfloat16) the name will do; TensorSpec.datatype resolves it.
    return row.numpy_name if row.numpy_name == "bfloat16" else dtypes.scalar_type(row.name)
