# SPDX-License-Identifier: Apache-2.0
"""Serve a linear model that learns while it answers: one endpoint takes examples, the other one predicts."""

from __future__ import annotations

import queue
import threading

import numpy as np

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


class Model:
    """A line fitted by gradient descent in a thread of its own."""

    def __init__(self) -> None:
        self.slope, self.offset = np.float32(0.0), np.float32(0.0)
        self.examples: queue.Queue[tuple[np.ndarray, np.ndarray] | None] = queue.Queue()
        self.trainer = threading.Thread(target=self.learn)

    def learn(self) -> None:
        while (example := self.examples.get()) is not None:
            x, y = example
            for _ in range(500):
                error = self.slope * x + self.offset - y
                self.slope -= 0.1 * (error * x).mean()
                self.offset -= 0.1 * error.mean()

    @batch
    def train(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        self.examples.put((x, y))
        return {"waiting": np.full((len(x), 1), self.examples.qsize(), dtype=np.int32)}

    @batch
    def predict(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"y": self.slope * x + self.offset}


def number(name: str) -> Tensor:
    return Tensor(name=name, dtype=np.float32, shape=(1,))


model = Model()
model.trainer.start()
try:
    with Triton() as triton:
        config = ModelConfig(max_batch_size=64)
        waiting = Tensor(name="waiting", dtype=np.int32, shape=(1,))
        triton.bind("LineTrain", model.train, [number("x"), number("y")], [waiting], config=config)
        triton.bind("LinePredict", model.predict, [number("x")], [number("y")], config=config)
        triton.serve()
finally:
    model.examples.put(None)
    model.trainer.join()
