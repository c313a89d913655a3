# SPDX-License-Identifier: Apache-2.0
"""Serve a model that scales and shifts; both are optional inputs with defaults."""

from __future__ import annotations

import numpy as np

from pytriton.decorators import batch, fill_optionals, first_value
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


# From top to bottom: what a request lacks is filled in, requests become one batch, and `scale` one number.
@fill_optionals(scale=np.array([1.0], dtype=np.float32), shift=np.array([0.0], dtype=np.float32))
@batch
@first_value("scale")
def transform(values: np.ndarray, scale: np.float32, shift: np.ndarray) -> dict[str, np.ndarray]:
    return {"result": values * scale + shift}


with Triton() as triton:
    triton.bind(
        model_name="Transform",
        infer_func=transform,
        inputs=[
            Tensor(name="values", dtype=np.float32, shape=(-1,)),
            Tensor(name="scale", dtype=np.float32, shape=(1,), optional=True),
            Tensor(name="shift", dtype=np.float32, shape=(1,), optional=True),
        ],
        outputs=[Tensor(name="result", dtype=np.float32, shape=(-1,))],
        config=ModelConfig(max_batch_size=16),
    )
    triton.serve()
