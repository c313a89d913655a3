# SPDX-License-Identifier: Apache-2.0
"""Serve in the background, as in a notebook: run, ask, stop, bind once more, run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


@batch
def double(value: np.ndarray) -> list[np.ndarray]:
    return [value * 2]


@batch
def negate(value: np.ndarray) -> list[np.ndarray]:
    return [-value]


def bind(name: str, function: Callable[..., Any]) -> None:
    triton.bind(
        model_name=name,
        infer_func=function,
        inputs=[Tensor(name="value", dtype=np.float32, shape=(1,))],
        outputs=[Tensor(name="result", dtype=np.float32, shape=(1,))],
        config=ModelConfig(max_batch_size=16),
    )


def ask(name: str) -> None:
    with ModelClient(f"localhost:{TritonConfig.from_env().http_port or 8000}", name) as client:
        print(f"{name}: {client.infer_sample(np.array([3.0], dtype=np.float32))['result'][0]}")


triton = Triton()
bind("Double", double)
triton.run()
ask("Double")
triton.stop()

bind("Negate", negate)
triton.run()
ask("Double")
ask("Negate")
triton.stop()
