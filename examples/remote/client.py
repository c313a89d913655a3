# SPDX-License-Identifier: Apache-2.0
"""Ask the models of both programs."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

for model in ("Double", "Triple"):
    with ModelClient(options.url, model) as client:
        client.wait_for_model(timeout_s=30)
        print(f"{model}: {client.infer_sample(np.array([2.0], dtype=np.float32))['result'][0]}")
