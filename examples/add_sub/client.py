# SPDX-License-Identifier: Apache-2.0
"""Ask the AddSub model for a batch of two."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

a = np.ones((2, 1), dtype=np.float32)
b = np.ones((2, 1), dtype=np.float32)

with ModelClient(options.url, "AddSub") as client:
    for name, array in client.infer_batch(a, b).items():
        print(f"{name}: {array.tolist()}")
