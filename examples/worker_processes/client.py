# SPDX-License-Identifier: Apache-2.0
"""Ask the server for some powers."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="http://localhost:8000")
arguments = parser.parse_args()

with ModelClient(arguments.url, "Power") as client:
    result = client.infer_batch(np.array([[2], [3], [4]], dtype=np.int64))
print("powers:", result["power"].ravel().tolist())
