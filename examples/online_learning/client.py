# SPDX-License-Identifier: Apache-2.0
"""Teach the line y = 2x + 1, asking for y(3) until it is learnt."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

x = np.linspace(-1, 1, 32, dtype=np.float32).reshape(-1, 1)
question = np.array([3.0], dtype=np.float32)

with ModelClient(options.url, "LineTrain") as trainer, ModelClient(options.url, "LinePredict") as predictor:
    answer = predictor.infer_sample(question)["y"][0]
    print(f"at first: {answer:.1f}")
    rounds = 0
    while abs(answer - 7.0) > 0.01 and rounds < 1000:
        trainer.infer_batch(x, 2 * x + 1)
        answer = predictor.infer_sample(question)["y"][0]
        rounds += 1
    print(f"in the end: {answer:.1f}")
