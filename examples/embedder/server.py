# SPDX-License-Identifier: Apache-2.0
"""Serve an embedder: texts to vectors that are near each other when the texts are alike."""

from __future__ import annotations

from typing import Annotated
from zlib import crc32

import numpy as np

from pytriton import F32, App

app = App()


@app.model(max_batch_size=128)
class Embedder:
    """Random projections of the letters' trigrams."""

    def __init__(self) -> None:
        self.projection = np.random.default_rng(0).standard_normal((4096, 256), np.float32)

    def __call__(self, text: list[str], normalize: bool = True) -> Annotated[F32, "batch", 256]:
        vectors = np.stack([self.projection[self.trigrams(each)].sum(0) for each in text])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors

    @staticmethod
    def trigrams(text: str) -> list[int]:
        padded = f"  {text.lower()} "
        return [crc32(padded[index : index + 3].encode()) % 4096 for index in range(len(padded) - 2)]


if __name__ == "__main__":
    app.serve()
