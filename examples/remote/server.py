# SPDX-License-Identifier: Apache-2.0
"""Serve a model, in a server to which other programs of this machine may add theirs."""

from __future__ import annotations

import os

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonSecurityConfig

# Who adds a model needs the token that protects the server's model repository.
security = TritonSecurityConfig(access_token=os.environ.get("PYTRITON_ACCESS_TOKEN") or "change me")


@batch
def double(value: np.ndarray) -> list[np.ndarray]:
    return [value * 2]


with Triton(security_config=security) as triton:
    triton.bind(
        model_name="Double",
        infer_func=double,
        inputs=[Tensor(name="value", dtype=np.float32, shape=(1,))],
        outputs=[Tensor(name="result", dtype=np.float32, shape=(1,))],
        config=ModelConfig(max_batch_size=16),
    )
    triton.serve()
