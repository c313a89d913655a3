# SPDX-License-Identifier: Apache-2.0
"""A model with several callables, and one whose requests wait for one another."""

import threading

import numpy as np
from seen import GRPC, HTTP, say

from pytriton.client import FuturesModelClient, ModelClient
from pytriton.decorators import batch, triton_context
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

meeting = threading.Barrier(2)


class Instance:
    def __init__(self, device):
        self.device = device

    @batch
    def __call__(self, x):
        meeting.wait(20)
        return {"device": np.full((len(x), 1), self.device, np.int32)}


class Known:
    def __init__(self, number):
        self.number = number

    @batch
    @triton_context
    def __call__(self, triton_context, x):
        config = triton_context.model_configs[self]
        return {"device": np.full((len(x), 1), config.max_batch_size, np.int32)}


INPUTS = [Tensor(name="x", dtype=np.float32, shape=(1,))]
OUTPUTS = [Tensor(name="device", dtype=np.int32, shape=(1,))]

with Triton() as triton:
    triton.bind("m", [Instance(0), Instance(1)], INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=1))
    triton.bind("k", (Known(0), Known(1), Known(2)), INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=3))
    with FuturesModelClient(HTTP, "m") as client:
        futures = [client.infer_sample(np.ones(1, np.float32)) for _ in range(2)]
        say("devices", sorted(future.result(30)["device"].item() for future in futures))
    for url in (HTTP, GRPC):
        with ModelClient(url, "m") as client:
            say("instances", client.model_config.instance_group)
        with ModelClient(url, "k") as client:
            say("context", client.infer_sample(np.ones(1, np.float32)))
            say("instances", client.model_config.instance_group)
