# SPDX-License-Identifier: Apache-2.0
"""Send a parameter and a header with a request."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

values = np.array([[1.0, 2.0]], dtype=np.float32)

with ModelClient(options.url, "Scale") as client:
    result = client.infer_batch(values, parameters={"factor": 3}, headers={"x-unit": "metres"})
    print("scaled:", result["scaled"].tolist(), result["unit"][0, 0].decode())
