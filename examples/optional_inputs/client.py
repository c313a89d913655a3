# SPDX-License-Identifier: Apache-2.0
"""Ask the Transform model with and without its optional inputs."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

values = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
scale = np.array([[10.0], [10.0]], dtype=np.float32)
shift = np.array([[1.0], [2.0]], dtype=np.float32)

with ModelClient(options.url, "Transform") as client:
    print("neither:", client.infer_batch(values)["result"].tolist())
    print("scale:", client.infer_batch(values, scale)["result"].tolist())
    print("shift:", client.infer_batch(values=values, shift=shift)["result"].tolist())
    print("both:", client.infer_batch(values, scale, shift)["result"].tolist())
