# SPDX-License-Identifier: Apache-2.0
"""Print a story as it is told, over gRPC."""

from __future__ import annotations

import argparse

from pytriton.client import DecoupledModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="grpc://localhost")
options = parser.parse_args()

with DecoupledModelClient(options.url, "story") as client:
    for step in client.infer_sample("once the", parameters={"max_tokens": 5}):
        print(step["output"].item().decode())
