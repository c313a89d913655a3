# SPDX-License-Identifier: Apache-2.0
"""Answers that come too late, for each client."""

import asyncio
import threading

import numpy as np
from seen import ENDPOINTS, attempt, say

from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

go_on = threading.Event()
calls = []


def slow(requests):
    calls.append(len(requests))
    go_on.wait(20)
    return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
one = np.ones(1, np.float32)


with Triton() as triton:
    for protocol, url in ENDPOINTS.items():
        go_on.clear()
        triton.bind(protocol, slow, FLOATS, FLOATS, config=ModelConfig(max_batch_size=1))
        with ModelClient(url, protocol, inference_timeout_s=1) as client:
            attempt("sync " + protocol, client.infer_sample, one)
        with FuturesModelClient(url, protocol, inference_timeout_s=1, max_workers=1) as client:
            attempt("futures " + protocol, lambda: client.infer_sample(one).result(20))

        async def ask(url=url, name=protocol):
            async with AsyncioModelClient(url, name, inference_timeout_s=1) as client:
                return await client.infer_sample(one)

        attempt("asyncio " + protocol, lambda: asyncio.run(ask()))
        go_on.set()
        with ModelClient(url, protocol, inference_timeout_s=20) as client:
            say("afterwards", client.infer_sample(one))
