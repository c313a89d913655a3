# SPDX-License-Identifier: Apache-2.0
"""Serve a model that answers a request with one response after the other: the words of a text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@batch
def words(text: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    split = [item.split() for item in text[:, 0]]
    for index in range(max(map(len, split))):
        word = [[row[index] if index < len(row) else b""] for row in split]
        yield {"word": np.array(word, dtype=object)}


with Triton() as triton:
    triton.bind(
        model_name="Words",
        infer_func=words,
        inputs=[Tensor(name="text", dtype=bytes, shape=(1,))],
        outputs=[Tensor(name="word", dtype=bytes, shape=(1,))],
        config=ModelConfig(decoupled=True, max_batch_size=4),
    )
    triton.serve()
