# SPDX-License-Identifier: Apache-2.0
"""What a model must satisfy: one function per rule, one sentence per failure.

Most of these the server checks as well, but only when it loads the model and in words about its own files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

from pytriton.constants import BOOTSTRAP_MODEL_NAME, MAX_RANK
from pytriton.exceptions import PyTritonBadParameterError, PyTritonValidationError
from pytriton.limits import check_bytes
from pytriton.model_config.common import DynamicBatcher, QueuePolicy, TimeoutAction
from pytriton.model_config.model_config import ModelConfig
from pytriton.model_config.tensor import Tensor

if TYPE_CHECKING:
    from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = [
    "check_batch_dimension",
    "check_batcher_types",
    "check_batching",
    "check_config",
    "check_default_priority_level",
    "check_max_batch_size",
    "check_model",
    "check_model_name",
    "check_model_version",
    "check_outputs_not_optional",
    "check_preferred_batch_size",
    "check_preserve_ordering",
    "check_priority_queue_policy",
    "check_queue_numbers",
    "check_response_cache",
    "check_tensor_names",
    "check_tensors",
]

_MODEL_NAME: Final = re.compile(r"[a-zA-Z0-9._-]+")
_LONGEST_FILE_NAME: Final = 255
_MAX_BATCHES_IN_FLIGHT: Final = 128  # as many as the server lets a worker take
_INT32_MAX: Final = 2**31 - 1
_UINT32_MAX: Final = 2**32 - 1
_INT64_MAX: Final = 2**63 - 1
_UINT64_MAX: Final = 2**64 - 1


def check_model(model: TritonModelConfig) -> None:
    """Check everything that can be known before the server loads the model."""
    check_model_name(model.model_name)
    check_model_version(model)
    check_batcher_types(model)
    check_queue_numbers(model)
    check_batching(model)
    check_preferred_batch_size(model)
    check_preserve_ordering(model)
    check_response_cache(model)
    for role, specs in (("input", model.inputs or ()), ("output", model.outputs or ())):
        check_tensor_names(model.model_name, role, specs)
        check_batch_dimension(model, role, specs)


def check_batching(model: TritonModelConfig) -> None:
    """Check the batch size and the priorities, without which no server configuration can be written."""
    check_max_batch_size(model)
    check_default_priority_level(model)
    check_priority_queue_policy(model)


def check_model_name(name: Any) -> None:
    """A model name is part of URLs and the name of a directory."""
    if not isinstance(name, str):
        raise PyTritonValidationError(f"Model name must be a string, got {name!r}.")
    if not name:
        raise PyTritonValidationError("Model name cannot be empty.")
    # Not re.match with $: that lets a newline at the end through.
    if _MODEL_NAME.fullmatch(name) is None:
        raise PyTritonValidationError(
            "Model name can only contain alphanumeric characters, dots, underscores and dashes, "
            f"got {name!r}."
        )
    if name in (".", ".."):
        raise PyTritonValidationError(f"Model name {name!r} is the name of a directory; choose another.")
    if name == BOOTSTRAP_MODEL_NAME:
        raise PyTritonValidationError(f"Model name {name!r} is used by PyTriton itself; choose another.")
    if len(name) > _LONGEST_FILE_NAME:
        raise PyTritonValidationError(
            f"Model name has {len(name)} characters, at most {_LONGEST_FILE_NAME} are possible: "
            f"{name[:32]}..."
        )


def check_model_version(model: TritonModelConfig) -> None:
    """A version is the name of a directory; -1 the server takes for the latest version."""
    version = model.model_version
    if not _is_int(version) or not 0 <= version <= _INT64_MAX:
        raise PyTritonValidationError(
            f'The version of model "{model.model_name}" must be an integer of 0 or more, got {version!r}.'
        )


def check_max_batch_size(model: TritonModelConfig) -> None:
    """A batch has at least one row; without batching the number means nothing."""
    if not model.batching:
        return
    size = model.max_batch_size
    if not _is_int(size) or size > _INT32_MAX:
        raise PyTritonBadParameterError(
            f"The `max_batch_size` must be an integer of at most {_INT32_MAX}. "
            f'Model "{model.model_name}" was given {size!r}.'
        )
    if size < 1:
        raise PyTritonBadParameterError(
            "The `max_batch_size` must be greater or equal to 1. "
            f'Model "{model.model_name}" was given {size}; for a model without batches set `batching=False`.'
        )


def check_batcher_types(model: TritonModelConfig) -> None:
    """The batcher is made of the classes of this package; a dict in its place is a mistake."""
    batcher: Any = _batcher(model)
    if batcher is None:
        return
    where = f'model "{model.model_name}"'
    if not isinstance(batcher, DynamicBatcher):
        raise PyTritonBadParameterError(
            f"{where}: `batcher` must be a DynamicBatcher or None, got {batcher!r}."
        )
    policies = batcher.priority_queue_policy
    if policies is not None and not isinstance(policies, Mapping):
        raise PyTritonBadParameterError(
            f"{where}: `priority_queue_policy` must be a dict of priority to QueuePolicy, got {policies!r}."
        )
    for policy in _policies(batcher):
        if not isinstance(policy, QueuePolicy):
            raise PyTritonBadParameterError(f"{where}: a queue policy must be a QueuePolicy, got {policy!r}.")
        if not isinstance(policy.timeout_action, TimeoutAction):
            raise PyTritonBadParameterError(
                f"{where}: `timeout_action` must be a TimeoutAction, got {policy.timeout_action!r}."
            )


def check_default_priority_level(model: TritonModelConfig) -> None:
    """With priorities every request needs one, and without them there is none to choose."""
    batcher = _batcher(model)
    if batcher is None:
        return
    levels, default = batcher.priority_levels, batcher.default_priority_level
    if not levels and default:
        raise PyTritonBadParameterError(
            f"The `default_priority_level` needs `priority_levels`. "
            f'Model "{model.model_name}" was given {default} without levels.'
        )
    if levels and not 1 <= default <= levels:
        raise PyTritonBadParameterError(
            f"The `default_priority_level` must be between 1 and {levels}. "
            f'Model "{model.model_name}" was given {default}.'
        )


def check_priority_queue_policy(model: TritonModelConfig) -> None:
    """A queue policy belongs to one of the priorities."""
    batcher = _batcher(model)
    if batcher is None or not batcher.priority_queue_policy:
        return
    if not batcher.priority_levels:
        raise PyTritonBadParameterError(
            "Provide the `priority_levels` if you want to define `priority_queue_policy` "
            "for Dynamic Batching. "
            f'Model "{model.model_name}" has policies for {_listed(batcher.priority_queue_policy)}.'
        )
    for priority in batcher.priority_queue_policy:
        if not _is_int(priority) or not 1 <= priority <= batcher.priority_levels:
            raise PyTritonBadParameterError(
                f"Invalid `priority`={priority} provided. "
                f"The value must be between 1 and {batcher.priority_levels}. "
                f'It is a key of `priority_queue_policy` of model "{model.model_name}".'
            )


def check_queue_numbers(model: TritonModelConfig) -> None:
    """Times, sizes and levels are whole numbers that are not negative."""
    batcher = _batcher(model)
    if batcher is None:
        return
    numbers = [
        ("max_queue_delay_microseconds", batcher.max_queue_delay_microseconds, _UINT64_MAX),
        ("priority_levels", batcher.priority_levels, _UINT64_MAX),
        ("default_priority_level", batcher.default_priority_level, _UINT64_MAX),
    ]
    for policy in _policies(batcher):
        numbers.append(("default_timeout_microseconds", policy.default_timeout_microseconds, _UINT64_MAX))
        numbers.append(("max_queue_size", policy.max_queue_size, _UINT32_MAX))
    for name, value, limit in numbers:
        if not _is_int(value) or not 0 <= value <= limit:
            raise PyTritonBadParameterError(
                f"The `{name}` must be an integer between 0 and {limit}. "
                f'Model "{model.model_name}" was given {value!r}.'
            )


def check_preferred_batch_size(model: TritonModelConfig) -> None:
    """A preferred batch is one that the model can take."""
    batcher = _batcher(model)
    if batcher is None or not batcher.preferred_batch_size:
        return
    if not isinstance(batcher.preferred_batch_size, Sequence):
        raise PyTritonBadParameterError(
            "The `preferred_batch_size` must be a list of sizes. "
            f'Model "{model.model_name}" was given {batcher.preferred_batch_size!r}.'
        )
    for size in batcher.preferred_batch_size:
        if not _is_int(size) or not 1 <= size <= model.max_batch_size:
            raise PyTritonBadParameterError(
                "Each `preferred_batch_size` must be between 1 and "
                f"the `max_batch_size` {model.max_batch_size}. "
                f'Model "{model.model_name}" was given {size!r}.'
            )


def check_preserve_ordering(model: TritonModelConfig) -> None:
    """Responses in the order of requests leave no room for priorities or for delaying a request."""
    batcher = _batcher(model)
    if batcher is None or not batcher.preserve_ordering:
        return
    if batcher.priority_levels > 1:
        raise PyTritonBadParameterError(
            "Only one of `preserve_ordering` and more than one `priority_levels` is possible. "
            f'Model "{model.model_name}" was given both.'
        )
    for policy in _policies(batcher):
        if policy.default_timeout_microseconds and policy.timeout_action is TimeoutAction.DELAY:
            raise PyTritonBadParameterError(
                "Only one of `preserve_ordering` and a queue policy with TimeoutAction.DELAY is possible. "
                f'Model "{model.model_name}" was given both.'
            )


def check_response_cache(model: TritonModelConfig) -> None:
    """The server caches one response per request, and a decoupled model may give any number."""
    if model.decoupled and model.response_cache is not None and model.response_cache.enable:
        raise PyTritonBadParameterError(
            "Only one of `response_cache` and `decoupled` is possible. "
            f'Model "{model.model_name}" was given both.'
        )


def check_outputs_not_optional(outputs: Iterable[Tensor | TensorSpec]) -> None:
    """Only inputs can be optional."""
    optional = [str(output.name) for output in outputs if output.optional]
    if optional:
        raise PyTritonBadParameterError(
            f"Optional flag for outputs is not supported. Outputs marked as optional: {', '.join(optional)}."
        )


def check_config(model_name: str, config: Any) -> None:
    """The options come as a ModelConfig; the server's own JSON in its place is a mistake."""
    if not isinstance(config, ModelConfig):
        raise PyTritonValidationError(
            f'The config of model "{model_name}" must be a ModelConfig, got {config!r}.'
        )
    _check_batches_in_flight(model_name, config.batches_in_flight)
    for name in ("shared_memory_bytes", "worker_shared_memory_bytes", "stream_memory_bytes"):
        check_bytes(f'model "{model_name}"', name, getattr(config, name))


def _check_batches_in_flight(model_name: str, count: Any) -> None:
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MAX_BATCHES_IN_FLIGHT:
        raise PyTritonBadParameterError(
            f'model "{model_name}": batches_in_flight must be an integer from 1 to {_MAX_BATCHES_IN_FLIGHT}, '
            f"or None, got {count!r}."
        )


def check_tensors(model_name: str, role: str, tensors: Any) -> None:
    """Inputs and outputs are sequences of Tensor, and outputs are not optional."""
    if not isinstance(tensors, Sequence) or isinstance(tensors, (str, bytes)):
        raise PyTritonValidationError(
            f'The {role}s of model "{model_name}" must be a sequence of Tensor, got {type(tensors).__name__}.'
        )
    for position, tensor in enumerate(tensors, start=1):
        if not isinstance(tensor, Tensor):
            raise PyTritonValidationError(
                f'model "{model_name}", {role} {position}: expected a Tensor, got {tensor!r}.'
            )
        if role == "output" and tensor.optional:
            raise PyTritonValidationError(
                f'Output tensors cannot be optional. Model "{model_name}" has one at position {position}.'
            )


def check_tensor_names(model_name: str, role: str, specs: Iterable[TensorSpec]) -> None:
    """Requests name tensors, so a name stands for one input, and for one output."""
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise PyTritonValidationError(
                f'model "{model_name}": two {role}s are named "{spec.name}"; give each a name of its own.'
            )
        seen.add(spec.name)


def check_batch_dimension(model: TritonModelConfig, role: str, specs: Iterable[TensorSpec]) -> None:
    """The batch counts as a dimension; without it the server knows no tensor without dimensions."""
    for spec in specs:
        where = f'model "{model.model_name}", {role} "{spec.name}"'
        if not model.batching and not spec.shape:
            raise PyTritonValidationError(
                f"{where}: a scalar needs batching; without batching declare shape (1,) instead of ()."
            )
        if model.batching and len(spec.shape) + 1 > MAX_RANK:
            raise PyTritonValidationError(
                f"{where}: the shape has {len(spec.shape)} dimensions, "
                f"at most {MAX_RANK - 1} are possible besides the batch."
            )


def _batcher(model: TritonModelConfig) -> DynamicBatcher | None:
    return model.batcher if model.batching else None


def _policies(batcher: DynamicBatcher) -> Iterator[QueuePolicy]:
    if batcher.default_queue_policy is not None:
        yield batcher.default_queue_policy
    yield from (batcher.priority_queue_policy or {}).values()


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))
