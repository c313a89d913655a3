# SPDX-License-Identifier: Apache-2.0
"""Add a model to the running server; it goes with this program."""

from __future__ import annotations

import argparse
import os

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import RemoteTriton

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()


@batch
def triple(value: np.ndarray) -> list[np.ndarray]:
    return [value * 3]


token = os.environ.get("PYTRITON_ACCESS_TOKEN") or "change me"

with RemoteTriton(url=options.url, access_token=token) as triton:
    triton.bind(
        model_name="Triple",
        infer_func=triple,
        inputs=[Tensor(name="value", dtype=np.float32, shape=(1,))],
        outputs=[Tensor(name="result", dtype=np.float32, shape=(1,))],
        config=ModelConfig(max_batch_size=16),
    )
    triton.serve()
