# SPDX-License-Identifier: Apache-2.0
"""The three models themselves, which are the same behind every framework."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from zlib import crc32

import numpy as np
import numpy.typing as npt

__all__ = ["SIZE", "WORDS", "Projection", "classify", "tell"]

SIZE = 256
_SPECIES = ["setosa", "versicolor", "virginica"]
_MEANS = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]], np.float32)
WORDS = "the fox saw the hen and the hen saw the fox and the fox ran".split()  # noqa: SIM905

Floats = npt.NDArray[np.float32]


def classify(lengths: Floats) -> tuple[list[str], Floats]:
    """The species and its probability, of (rows, 4) lengths."""
    likelihood = np.exp(-((lengths[:, None] - _MEANS) ** 2).sum(-1))
    probability = likelihood / likelihood.sum(1, keepdims=True)
    return [_SPECIES[best] for best in probability.argmax(1)], probability.max(1)


class Projection:
    """Random projections of trigrams, made once on a device."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._matrix = np.random.default_rng(0).standard_normal((4096, SIZE), np.float32)

    def embed(self, texts: list[str], normalize: bool) -> Floats:
        """Vectors of texts, (rows, 256)."""
        vectors = np.stack([self._matrix[self._trigrams(text)].sum(0) for text in texts])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors

    @staticmethod
    def _trigrams(text: str) -> list[int]:
        padded = f"  {text.lower()} "
        return [crc32(padded[index : index + 3].encode()) % 4096 for index in range(len(padded) - 2)]


async def tell(prompt: str, max_tokens: int, seed: int) -> AsyncIterator[str]:
    """Tokens that go on with a prompt."""
    choose, token = random.Random(f"{prompt}{seed}").choice, ""
    for _ in range(max_tokens):
        token = choose([word for word in WORDS if word != token])
        yield token
        await asyncio.sleep(0)
