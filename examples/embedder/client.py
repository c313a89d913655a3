# SPDX-License-Identifier: Apache-2.0
"""Print how alike three texts are."""

from __future__ import annotations

import argparse

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="http://localhost")
options = parser.parse_args()

with ModelClient(options.url, "Embedder") as client:
    cat, cats, dog = client.infer_batch(["the black cat", "the black cats", "a dog"])["output"]
    print(f"cat and cats: {cat @ cats:.1f}")
    print(f"cat and dog: {abs(cat @ dog):.1f}")
