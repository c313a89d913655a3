# SPDX-License-Identifier: Apache-2.0
"""Send texts and bytes, zero bytes at the end included, and compare what comes back."""

from __future__ import annotations

import argparse

import numpy as np

from pytriton.client import ModelClient

parser = argparse.ArgumentParser()
parser.add_argument("--url", default="localhost")
options = parser.parse_args()

texts = ["pytriton", "zażółć gęślą jaźń"]
text = np.char.encode(np.array(texts).reshape(2, 1), "utf-8")
image = np.array([[b"\x89PNG\r\n\x00\x00"], [b""]], dtype=object)
number = np.array([[1.5], [-0.0]])

with ModelClient(options.url, "Identity") as client:
    result = client.infer_batch(text, image, number)

assert [item.decode("utf-8") for item in result["text_again"].ravel()] == texts
assert result["image_again"].tolist() == image.tolist()
assert result["number_again"].tobytes() == number.tobytes()
print("all the same")
