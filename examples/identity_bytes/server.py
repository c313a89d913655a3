# SPDX-License-Identifier: Apache-2.0
"""Serve a model that gives back what it got: texts, arbitrary bytes, and numbers."""

from __future__ import annotations

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@batch
def identity(**inputs: np.ndarray) -> list[np.ndarray]:
    return list(inputs.values())


def tensors(suffix: str) -> list[Tensor]:
    # Bytes of any length and content come as object arrays of `bytes`.
    return [
        Tensor(name=f"text{suffix}", dtype=bytes, shape=(1,)),
        Tensor(name=f"image{suffix}", dtype=object, shape=(1,)),
        Tensor(name=f"number{suffix}", dtype=np.float64, shape=(1,)),
    ]


with Triton() as triton:
    triton.bind(
        model_name="Identity",
        infer_func=identity,
        inputs=tensors(""),
        outputs=tensors("_again"),
        config=ModelConfig(max_batch_size=16),
    )
    triton.serve()
