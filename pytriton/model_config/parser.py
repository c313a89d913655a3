# SPDX-License-Identifier: Apache-2.0
"""The server's model configuration, as JSON-like dict or as file, to TritonModelConfig."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from pytriton import dtypes
from pytriton.exceptions import PyTritonModelConfigError, PyTritonValidationError
from pytriton.model_config import pbtxt_reader
from pytriton.model_config.common import (
    DeviceKind,
    DynamicBatcher,
    ModelWarmup,
    QueuePolicy,
    TimeoutAction,
    WarmupInput,
)
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig

__all__ = ["ModelConfigParser"]

_Enum = TypeVar("_Enum", bound=Enum)
_CAPITAL: Final = re.compile(r"([A-Z])")


class ModelConfigParser:
    """Reads the server's model configuration."""

    @classmethod
    def from_dict(cls, model_config_dict: Mapping[str, Any]) -> TritonModelConfig:
        """Read the JSON form, which the server gives out and ModelConfigGenerator writes."""
        name = model_config_dict.get("name")
        if not name:
            raise PyTritonModelConfigError("The model configuration has no name.")
        max_batch_size = int(model_config_dict.get("max_batch_size") or 0)
        batcher = model_config_dict.get("dynamic_batching")
        cache = model_config_dict.get("response_cache")
        warmups = model_config_dict.get("model_warmup")
        return TritonModelConfig(
            model_name=name,
            max_batch_size=max_batch_size,
            batching=max_batch_size > 0,
            batcher=None if batcher is None else _dynamic_batcher(_in_snake_case(batcher)),
            instance_group=_instance_group(model_config_dict.get("instance_group") or ()),
            decoupled=bool((model_config_dict.get("model_transaction_policy") or {}).get("decoupled", False)),
            backend_parameters=_parameters(model_config_dict.get("parameters")),
            inputs=cls._specs(model_config_dict, "input"),
            outputs=cls._specs(model_config_dict, "output"),
            response_cache=ResponseCache(enable=bool(cache.get("enable", False))) if cache else None,
            model_warmup=[_warmup(warmup) for warmup in warmups] if warmups else None,
        )

    @classmethod
    def from_file(cls, *, config_path: str | Path) -> TritonModelConfig:
        """Read a config.pbtxt."""
        return cls.from_dict(pbtxt_reader.loads(Path(config_path).read_text(encoding="utf-8")))

    @classmethod
    def rewrite_io_spec(cls, item: Mapping[str, Any], io_type: str, idx: int) -> TensorSpec:
        """Read one input or output.

        Args:
            item: Its JSON form.
            io_type: What it is, for messages: "input" or "output".
            idx: Its position, for messages.
        """
        name = item.get("name")
        if not name:
            raise PyTritonModelConfigError(f"Name for {io_type} at index {idx} not provided.")
        where = f"for {io_type} with name `{name}`"
        dtype = _dtype(item.get("data_type"), where)
        if not item.get("dims"):
            raise PyTritonModelConfigError(f"Dimension {where} not defined.")
        # With `reshape` the dimensions are those on the way to the server; the model has its own.
        dims = item["reshape"].get("shape", ()) if item.get("reshape") is not None else item["dims"]
        return TensorSpec(name, _shape(dims, where), dtype, bool(item.get("optional", False)))

    @classmethod
    def _specs(cls, config: Mapping[str, Any], io_type: str) -> list[TensorSpec] | None:
        items = config.get(io_type) or ()
        return [cls.rewrite_io_spec(item, io_type, index) for index, item in enumerate(items)] or None


def _in_snake_case(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        _CAPITAL.sub(lambda match: "_" + match.group(1).lower(), key) if isinstance(key, str) else key: (
            _in_snake_case(item)
        )
        for key, item in value.items()
    }


def _instance_group(groups: Sequence[Mapping[str, Any]]) -> dict[DeviceKind, int | None]:
    counts: dict[DeviceKind, int | None] = {}
    for group in groups:
        kind = _member(DeviceKind, "kind of an instance group", group.get("kind", "KIND_AUTO"))
        counts[kind] = group.get("count") or None
    return counts


def _dynamic_batcher(fields: Mapping[str, Any]) -> DynamicBatcher:
    default = fields.get("default_queue_policy")
    policies = fields.get("priority_queue_policy")
    sizes = fields.get("preferred_batch_size")
    return DynamicBatcher(
        max_queue_delay_microseconds=int(fields.get("max_queue_delay_microseconds", 0)),
        preferred_batch_size=[int(size) for size in sizes] if sizes else None,
        preserve_ordering=bool(fields.get("preserve_ordering", False)),
        priority_levels=int(fields.get("priority_levels", 0)),
        default_priority_level=int(fields.get("default_priority_level", 0)),
        default_queue_policy=_queue_policy(default) if default else None,
        priority_queue_policy=(
            {int(priority): _queue_policy(policy) for priority, policy in policies.items()}
            if policies
            else None
        ),
    )


def _queue_policy(fields: Mapping[str, Any]) -> QueuePolicy:
    return QueuePolicy(
        timeout_action=_member(TimeoutAction, "timeout_action", fields.get("timeout_action", "REJECT")),
        default_timeout_microseconds=int(fields.get("default_timeout_microseconds", 0)),
        allow_timeout_override=bool(fields.get("allow_timeout_override", False)),
        max_queue_size=int(fields.get("max_queue_size", 0)),
    )


def _member(kind: type[_Enum], what: str, value: Any) -> _Enum:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(each.value) for each in kind)
        raise PyTritonModelConfigError(f"Unknown {what}: {value!r}; known are {known}.") from None


def _parameters(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {name: value.get("string_value", "") for name, value in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, (str, bytes)):
        return dict.fromkeys(given, "")
    raise TypeError(
        f"The parameters of a model must be a dict of parameters or a list of names, got {given!r}."
    )


def _warmup(fields: Mapping[str, Any]) -> ModelWarmup:
    name = fields.get("name", "")
    return ModelWarmup(
        name=name,
        batch_size=int(fields.get("batch_size", 0)),
        inputs={
            input_name: _warmup_input(item, f"for input `{input_name}` of warm-up `{name}`")
            for input_name, item in (fields.get("inputs") or {}).items()
        },
        count=int(fields.get("count", 0)),
    )


def _warmup_input(fields: Mapping[str, Any], where: str) -> WarmupInput:
    dtype = _dtype(fields.get("data_type"), where)
    return WarmupInput(
        dtype=dtype,
        shape=_shape(fields.get("dims") or (), where),
        zero_data=bool(fields.get("zero_data", False)),
        random_data=bool(fields.get("random_data", False)),
        input_data_file=fields.get("input_data_file"),
    )


def _dtype(name: Any, where: str) -> Any:
    if not name:
        raise PyTritonModelConfigError(f"Data type {where} not defined.")
    if not str(name).startswith("TYPE_"):
        raise PyTritonModelConfigError(
            f"Invalid data type `{name}` {where}; the expected name starts with TYPE_, as TYPE_FP32 does."
        )
    try:
        row = dtypes.from_config_name(name)
    except PyTritonValidationError:
        known = ", ".join(each.config_name for each in dtypes.DATATYPES)
        raise PyTritonModelConfigError(
            f"Unsupported data type `{name}` {where}; supported are {known}."
        ) from None
    if row is dtypes.BYTES:
        return np.bytes_
    if row.numpy_name == "bfloat16":  # as a name it needs no package, which may not be there
        return row.numpy_name
    return np.dtype(bool) if row.numpy_name == "bool" else row.numpy_dtype.type


def _shape(dims: Any, where: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in dims)
    except (TypeError, ValueError):
        raise PyTritonModelConfigError(
            f"Dimension {where} must be a list of integers, got {dims!r}."
        ) from None
