# SPDX-License-Identifier: Apache-2.0
"""Send two requests at once."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import FuturesModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

with FuturesModelClient(options.url, "Square", max_workers=2) as client:
    futures = [client.infer_sample(np.array([value], dtype=np.int32)) for value in (3, 4)]
    results = [future.result() for future in futures]

print("squares:", [int(result["square"][0]) for result in results])
print("devices:", sorted(int(result["device"][0]) for result in results))
