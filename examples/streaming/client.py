# SPDX-License-Identifier: Apache-2.0
"""Print words as they come, over gRPC."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import DecoupledModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="grpc://localhost")
options = parser.parse_args()

with DecoupledModelClient(options.url, "Words") as client:
    for response in client.infer_sample(np.array([b"one after the other"])):
        print(response["word"][0].decode())
