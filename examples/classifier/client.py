# SPDX-License-Identifier: Apache-2.0
"""Ask about two flowers at once."""

from __future__ import annotations

import argparse

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="http://localhost")
options = parser.parse_args()

with ModelClient(options.url, "classifier") as client:
    verdict = client.infer_batch([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 5.6, 2.4]])
    for species, probability in zip(verdict["species"], verdict["probability"], strict=True):
        print(f"{species.decode()}: {probability:.2f}")
