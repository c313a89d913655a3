# SPDX-License-Identifier: Apache-2.0
"""Warm-up: how often, with what, and before whom."""

import os
import pathlib

import numpy as np
from seen import HTTP, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.triton import Triton

calls = []


@batch
def infer(x, text):
    calls.append((x.dtype.name, x.shape, float(x.sum()), text.shape))
    return {"y": x[:, :1]}


def undecorated(requests):
    calls.append([(sorted(request), request["x"].shape) for request in requests])
    return [{"y": request["x"][:, :1]} for request in requests]


path = pathlib.Path(os.environ["PYTRITON_HOME"]) / "data.npy"
np.save(path, np.full((2, 3), 7, np.float32))
zero = {
    "x": WarmupInput(np.float32, (3,), zero_data=True),
    "text": WarmupInput(np.bytes_, (1,), zero_data=True),
}
drawn = {
    "x": WarmupInput(np.float32, (3,), random_data=True),
    "text": WarmupInput(np.bytes_, (1,), random_data=True),
}
file = {
    "x": WarmupInput(np.float32, (3,), input_data_file=str(path)),
    "text": WarmupInput(np.bytes_, (1,), zero_data=True),
}
INPUTS = [Tensor(name="x", dtype=np.float32, shape=(3,)), Tensor(name="text", dtype=np.bytes_, shape=(1,))]
OUTPUTS = [Tensor(name="y", dtype=np.float32, shape=(1,))]
stages = [
    ModelWarmup("zero", 1, zero, 2),
    ModelWarmup("random", 4, drawn, 1),
    ModelWarmup("file", 2, file, 1),
]
with Triton() as triton:
    triton.bind("m", infer, INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=8, model_warmup=stages))
    say("number", len(calls), [call[1] for call in calls], [call[0] for call in calls])
    say("contents", [call[2] for call in calls if call[1][0] != 4])
    calls.clear()
    with ModelClient(HTTP, "m") as client:
        say("asked", client.infer_batch(np.ones((1, 3), np.float32), np.array([[b"a"]])), calls)
        say("config", client.model_config.model_warmup)
    calls.clear()
    triton.bind(
        "two",
        [undecorated, lambda requests: undecorated(requests)],
        INPUTS,
        OUTPUTS,
        config=ModelConfig(model_warmup=stages[:1]),
    )
    say("of two", len(calls), calls[0])
