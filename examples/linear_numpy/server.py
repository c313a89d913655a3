# SPDX-License-Identifier: Apache-2.0
"""Serve a linear layer written in NumPy: two features in, three scores out."""

from __future__ import annotations

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

random = np.random.default_rng(seed=0)
weight = random.standard_normal((2, 3), dtype=np.float32)
bias = random.standard_normal(3, dtype=np.float32)


@batch
def infer_func(features: np.ndarray) -> list[np.ndarray]:
    return [features @ weight + bias]


with Triton() as triton:
    triton.bind(
        model_name="Linear",
        infer_func=infer_func,
        inputs=[Tensor(name="features", dtype=np.float32, shape=(2,))],
        outputs=[Tensor(name="scores", dtype=np.float32, shape=(3,))],
        config=ModelConfig(max_batch_size=128),
    )
    triton.serve()
