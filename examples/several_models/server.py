# SPDX-License-Identifier: Apache-2.0
"""Serve several models from one server; one of them is bound while the server runs."""

from __future__ import annotations

import numpy as np

from pytriton.decorators import batch, sample
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

NUMBERS = [Tensor(name="numbers", dtype=np.float64, shape=(-1,))]
RESULT = [Tensor(name="result", dtype=np.float64, shape=(1,))]


@batch
def total(numbers: np.ndarray) -> list[np.ndarray]:
    return [numbers.sum(axis=1, keepdims=True)]


@batch
def largest(numbers: np.ndarray) -> list[np.ndarray]:
    return [numbers.max(axis=1, keepdims=True)]


@sample
def spread(numbers: np.ndarray) -> list[np.ndarray]:
    return [np.array([numbers.max() - numbers.min()])]


with Triton() as triton:
    triton.bind("Sum", total, NUMBERS, RESULT, config=ModelConfig(max_batch_size=8))
    triton.bind("Max", largest, NUMBERS, RESULT, config=ModelConfig(max_batch_size=8))
    triton.run()
    triton.bind("Spread", spread, NUMBERS, RESULT, config=ModelConfig(batching=False))
    triton.serve()
