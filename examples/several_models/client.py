# SPDX-License-Identifier: Apache-2.0
"""Ask each of the models."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

numbers = np.array([3.0, 1.0, 7.0])

for model in ("Sum", "Max", "Spread"):
    with ModelClient(options.url, model) as client:
        print(f"{model}: {client.infer_sample(numbers)['result'][0]}")
