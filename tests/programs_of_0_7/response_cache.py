# SPDX-License-Identifier: Apache-2.0
"""The response cache, with and without the server's part of it."""

import sys

import numpy as np
from seen import HTTP, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

calls = []


@batch
def slow(x):
    calls.append(x.tolist())
    return {"y": x + 1}


INPUTS = [Tensor(name="x", dtype=np.float32, shape=(1,))]
OUTPUTS = [Tensor(name="y", dtype=np.float32, shape=(1,))]
CACHED = ModelConfig(max_batch_size=4, response_cache=True)

for config in (TritonConfig(cache_config=[f"local,size={1024 * 1024}"]), TritonConfig()):
    calls.clear()
    with Triton(config=config) as triton:
        triton.bind("cached", slow, INPUTS, OUTPUTS, config=CACHED)
        with ModelClient(HTTP, "cached") as client:
            for value in (1, 1, 1, 2, 1):
                client.infer_sample(np.array([value], np.float32))
            say("calls", calls)
            say("configured", client.model_config.response_cache)
sys.exit(0)
