# SPDX-License-Identifier: Apache-2.0
"""Parts that model configurations are made of."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from pytriton.model_config.warmup import (
    ModelWarmup,
    WarmupInput,
    generate_warmup_data,
    generate_warmup_requests,
)

__all__ = [
    "DeviceKind",
    "DynamicBatcher",
    "ModelWarmup",
    "QueuePolicy",
    "TimeoutAction",
    "WarmupInput",
    "generate_warmup_data",
    "generate_warmup_requests",
    "whole",
]


class DeviceKind(enum.Enum):
    """Device that the server sees instances of a model on."""

    KIND_AUTO = "KIND_AUTO"
    KIND_CPU = "KIND_CPU"
    KIND_GPU = "KIND_GPU"
    KIND_MODEL = "KIND_MODEL"


class TimeoutAction(enum.Enum):
    """What happens to a request that waited too long: an error now, or service after all the others."""

    REJECT = "REJECT"
    DELAY = "DELAY"


@dataclass
class QueuePolicy:
    """How long and how many requests wait.

    Args:
        timeout_action: What happens to a request that waited longer than its timeout.
        default_timeout_microseconds: Timeout of requests that bring none; 0 waits without end.
        allow_timeout_override: Whether a request may bring a shorter timeout of its own.
        max_queue_size: Requests that may wait at a time; 0 is any number.
    """

    timeout_action: TimeoutAction = TimeoutAction.REJECT
    default_timeout_microseconds: int = 0
    allow_timeout_override: bool = False
    max_queue_size: int = 0

    def __post_init__(self) -> None:
        self.default_timeout_microseconds = whole(self.default_timeout_microseconds)
        self.max_queue_size = whole(self.max_queue_size)


@dataclass
class DynamicBatcher:
    """How the server gathers requests into batches.

    Args:
        max_queue_delay_microseconds: How long a request may wait for others to join its batch.
        preferred_batch_size: Batch sizes that are sent off without waiting for more.
        preserve_ordering: Whether responses come in the order of their requests.
        priority_levels: Number of priorities, of which 1 is the highest; 0 turns priorities off.
        default_priority_level: Priority of requests that bring none.
        default_queue_policy: Queue policy of every priority that has none of its own.
        priority_queue_policy: Queue policy by priority.
    """

    max_queue_delay_microseconds: int = 0
    preferred_batch_size: list[int] | None = None
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_priority_level: int = 0
    default_queue_policy: QueuePolicy | None = None
    priority_queue_policy: dict[int, QueuePolicy] | None = None

    def __post_init__(self) -> None:
        self.max_queue_delay_microseconds = whole(self.max_queue_delay_microseconds)


def whole(number: Any) -> Any:
    """A whole number that was computed, such as 0.005 * 1e6, as an integer; anything else as it is."""
    return int(number) if isinstance(number, float) and number.is_integer() else number
