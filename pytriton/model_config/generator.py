# SPDX-License-Identifier: Apache-2.0
"""TritonModelConfig to the server's model configuration, as JSON-like dict and as file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytriton import dtypes
from pytriton.exceptions import PyTritonBadParameterError
from pytriton.model_config import pbtxt, rules
from pytriton.model_config.common import ModelWarmup, QueuePolicy, WarmupInput
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = ["ModelConfigGenerator"]

_LOGGER = logging.getLogger(__name__)


class ModelConfigGenerator:
    """Writes the server's model configuration.

    Args:
        config: The model.
        versions: Versions that the server shall serve; without them it serves the latest one.
    """

    def __init__(self, config: TritonModelConfig, versions: Sequence[int] | None = None) -> None:
        self._config = config
        self._versions = versions

    def get_config(self) -> dict[str, Any]:
        """The configuration in the server's JSON form; the keys of dynamic_batching are in camel case."""
        model_config: dict[str, Any] = {"name": self._config.model_name, "backend": self._config.backend}
        self._set_version_policy(model_config)
        self._set_batching(model_config)
        self._set_model_signature(model_config)
        self._set_instance_group(model_config)
        self._set_model_transaction_policy(model_config)
        self._set_backend_parameters(model_config)
        self._set_response_cache(model_config)
        self._set_model_warmup(model_config)
        return model_config

    def to_file(self, config_path: str | Path) -> str:
        """Write the configuration as a config.pbtxt, with the directories above it, and return its text."""
        text = pbtxt.dumps(self.get_config())
        path = Path(config_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
        _LOGGER.debug("Model configuration in %s:\n%s", path, text)
        return text

    def _set_version_policy(self, model_config: dict[str, Any]) -> None:
        if self._versions:
            model_config["version_policy"] = {"specific": {"versions": [int(v) for v in self._versions]}}

    def _set_batching(self, model_config: dict[str, Any]) -> None:
        config = self._config
        if not config.batching:
            # Written although it is the default: without it the server guesses the batching of a model.
            model_config["max_batch_size"] = 0
            return
        rules.check_batching(config)
        model_config["max_batch_size"] = int(config.max_batch_size)
        batcher = config.batcher
        if batcher is None:
            return
        fields: dict[str, Any] = {
            "maxQueueDelayMicroseconds": int(batcher.max_queue_delay_microseconds),
            "preferredBatchSize": [int(size) for size in batcher.preferred_batch_size or ()],
            "preserveOrdering": bool(batcher.preserve_ordering),
            "priorityLevels": int(batcher.priority_levels),
            "defaultPriorityLevel": int(batcher.default_priority_level),
            "priorityQueuePolicy": {
                int(priority): _queue_policy(policy)
                for priority, policy in (batcher.priority_queue_policy or {}).items()
            },
        }
        if batcher.default_queue_policy is not None:
            fields["defaultQueuePolicy"] = _queue_policy(batcher.default_queue_policy)
        model_config["dynamic_batching"] = {key: value for key, value in fields.items() if value}

    def _set_model_signature(self, model_config: dict[str, Any]) -> None:
        if self._config.inputs:
            model_config["input"] = [_tensor(spec) for spec in self._config.inputs]
        if self._config.outputs:
            rules.check_outputs_not_optional(self._config.outputs)
            model_config["output"] = [_tensor(spec) for spec in self._config.outputs]

    def _set_instance_group(self, model_config: dict[str, Any]) -> None:
        groups = [{"count": count, "kind": kind.value} for kind, count in self._config.instance_group.items()]
        if groups:
            model_config["instance_group"] = groups

    def _set_model_transaction_policy(self, model_config: dict[str, Any]) -> None:
        if self._config.decoupled:
            model_config["model_transaction_policy"] = {"decoupled": True}

    def _set_backend_parameters(self, model_config: dict[str, Any]) -> None:
        parameters = self._config.backend_parameters
        if parameters:
            model_config["parameters"] = {
                key: {"string_value": str(value)} for key, value in parameters.items()
            }

    def _set_response_cache(self, model_config: dict[str, Any]) -> None:
        if self._config.response_cache is not None:
            model_config["response_cache"] = {"enable": self._config.response_cache.enable}

    def _set_model_warmup(self, model_config: dict[str, Any]) -> None:
        if self._config.model_warmup:
            model_config["model_warmup"] = [_warmup(warmup) for warmup in self._config.model_warmup]


def _queue_policy(policy: QueuePolicy) -> dict[str, Any]:
    return {
        "timeoutAction": policy.timeout_action.value,
        "defaultTimeoutMicroseconds": int(policy.default_timeout_microseconds),
        "allowTimeoutOverride": bool(policy.allow_timeout_override),
        "maxQueueSize": int(policy.max_queue_size),
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": spec.name,
        "dims": list(spec.shape),
        "data_type": dtypes.resolve(spec.dtype).config_name,
    }
    if not spec.shape:
        # The server knows no tensor without dimensions: clients send one of size 1, the backend sees none.
        item.update(dims=[1], reshape={"shape": []})
    if spec.optional:
        item["optional"] = True
    return item


def _warmup(warmup: ModelWarmup) -> dict[str, Any]:
    inputs: Mapping[str, WarmupInput] = warmup.inputs
    return {
        "name": warmup.name,
        "batch_size": warmup.batch_size,
        "inputs": {name: _warmup_input(name, item) for name, item in inputs.items()},
        "count": warmup.count,
    }


def _warmup_input(name: str, item: WarmupInput) -> dict[str, Any]:
    if not (item.zero_data or item.random_data or item.input_data_file):
        raise PyTritonBadParameterError(
            "One of the `zero_data`, `random_data`, or `input_data_file` must be provided for "
            f"warmup input `{name}`."
        )
    if not item.shape:
        raise PyTritonBadParameterError(f"Dimension for {name} not defined.")
    data: dict[str, Any] = {
        "data_type": dtypes.resolve(item.dtype).config_name,
        "dims": list(item.shape),
    }
    if item.zero_data:
        data["zero_data"] = True
    elif item.random_data:
        data["random_data"] = True
    else:
        data["input_data_file"] = item.input_data_file
    return data
