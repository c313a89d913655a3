# SPDX-License-Identifier: Apache-2.0
"""A model store on disk, and a server that is started once it is written."""

import os
import pathlib

import numpy as np
from seen import HTTP, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import Triton, TritonLifecyclePolicy

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
home = pathlib.Path(os.environ["PYTRITON_HOME"])


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


def ask():
    with ModelClient(HTTP, "m") as client:
        return client.infer_sample(np.ones(1, np.float32))["OUTPUT_1"].item()


policy = TritonLifecyclePolicy(launch_triton_on_startup=False, local_model_store=True)
store = home / "own" / "model-store"
with Triton(triton_lifecycle_policy=policy, workspace=home / "own") as triton:
    say("not launched", triton.is_alive(), triton.is_connected())
    triton.bind("m", double, FLOATS, FLOATS)
    say("written", (store / "m" / "config.pbtxt").exists(), (store / "m" / "1").is_dir())
    triton.run()
    say("launched", triton.is_alive(), ask())
