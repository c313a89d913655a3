# SPDX-License-Identifier: Apache-2.0
"""Serve a model by two callables side by side, as one would with a copy of a network on each of two GPUs."""

from __future__ import annotations

import threading

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton

meeting = threading.Barrier(2)


class Square:
    """One copy of the model, on a device of its own."""

    def __init__(self, device: int) -> None:
        self.device = device

    @batch
    def __call__(self, value: np.ndarray) -> dict[str, np.ndarray]:
        # Only two calls at the same time pass here, so two requests show that both copies work.
        meeting.wait(timeout=30)
        return {"square": value**2, "device": np.full_like(value, self.device)}


with Triton() as triton:
    triton.bind(
        model_name="Square",
        infer_func=[Square(device) for device in (0, 1)],
        inputs=[Tensor(name="value", dtype=np.int32, shape=(1,))],
        outputs=[
            Tensor(name="square", dtype=np.int32, shape=(1,)),
            Tensor(name="device", dtype=np.int32, shape=(1,)),
        ],
        config=ModelConfig(max_batch_size=1, batcher=DynamicBatcher()),
    )
    triton.serve()
