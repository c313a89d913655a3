# SPDX-License-Identifier: Apache-2.0
"""A model with everything that a configuration can say."""

from __future__ import annotations

from typing import Final

import numpy as np

from pytriton.model_config import DeviceKind, DynamicBatcher, QueuePolicy, TimeoutAction
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig

__all__ = ["FULL_MODEL"]

FULL_MODEL: Final = TritonModelConfig(
    model_name="full",
    max_batch_size=16,
    batcher=DynamicBatcher(
        max_queue_delay_microseconds=100,
        preferred_batch_size=[8, 16],
        preserve_ordering=True,
        priority_levels=3,
        default_priority_level=1,
        default_queue_policy=QueuePolicy(TimeoutAction.DELAY, 2**40, True, 2),
        priority_queue_policy={2: QueuePolicy(max_queue_size=3), 3: QueuePolicy(TimeoutAction.DELAY)},
    ),
    instance_group={DeviceKind.KIND_CPU: 1, DeviceKind.KIND_GPU: None},
    decoupled=True,
    backend_parameters={"parameter1": 'value "1"', "parameter2": ""},
    inputs=[
        TensorSpec("INPUT_1", (-1,), np.float32),
        TensorSpec("INPUT_2", (-1, 2**40), np.bytes_, optional=True),
    ],
    outputs=[TensorSpec("OUTPUT_1", (1000,), np.int32), TensorSpec("OUTPUT_2", (), "bfloat16")],
    response_cache=ResponseCache(enable=True),
    model_warmup=[
        ModelWarmup(
            "warm",
            16,
            {
                "INPUT_1": WarmupInput(np.float32, (1,), random_data=True),
                "INPUT_2": WarmupInput(np.bytes_, (1, 2), input_data_file="data.npy"),
            },
            count=2,
        ),
        ModelWarmup("zeros", 1, {"INPUT_1": WarmupInput(np.float32, (7,), zero_data=True)}, count=1),
    ],
)
