# SPDX-License-Identifier: Apache-2.0
"""Serve a PyTorch module, on the GPU where there is one."""

from __future__ import annotations

import numpy as np
import torch

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
model = torch.nn.Linear(2, 3).to(device).eval()


@batch
def infer_func(**inputs: np.ndarray) -> list[np.ndarray]:
    (input1_batch,) = inputs.values()
    input1_batch_tensor = torch.from_numpy(input1_batch).to(device)
    output1_batch_tensor = model(input1_batch_tensor)
    return [output1_batch_tensor.cpu().detach().numpy()]


with Triton() as triton:
    triton.bind(
        model_name="Linear",
        infer_func=infer_func,
        inputs=[Tensor(dtype=np.float32, shape=(-1,))],
        outputs=[Tensor(dtype=np.float32, shape=(-1,))],
        config=ModelConfig(max_batch_size=128),
    )
    triton.serve()
