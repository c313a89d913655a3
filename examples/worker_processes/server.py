# SPDX-License-Identifier: Apache-2.0
"""Serve a class by two processes, each of which makes an object of it, and add a third while it serves."""

from __future__ import annotations

import os

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton
from pytriton.workers import WorkerProcesses


class Power:
    """What takes long to make, and computes in Python."""

    def __init__(self, exponent: int, device: int | None = None) -> None:
        self.exponent = exponent
        self.device = device  # with devices=[0, 1] the entry that is for this process

    @batch
    def __call__(self, value: np.ndarray) -> dict[str, np.ndarray]:
        return {"power": value**self.exponent, "process": np.full_like(value, os.getpid())}


with Triton() as triton:
    triton.bind(
        model_name="Power",
        infer_func=Power,
        inputs=[Tensor(name="value", dtype=np.int64, shape=(1,))],
        outputs=[
            Tensor(name="power", dtype=np.int64, shape=(1,)),
            Tensor(name="process", dtype=np.int64, shape=(1,)),
        ],
        config=ModelConfig(max_batch_size=16),
        workers=WorkerProcesses(2, kwargs={"exponent": 3}, hang_timeout_s=60),
    )
    triton.run()
    triton.scale("Power", 3)
    triton.serve()
