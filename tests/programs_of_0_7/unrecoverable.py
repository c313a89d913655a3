# SPDX-License-Identifier: Apache-2.0
"""An error after which nothing goes on: what the client sees, and the program."""

import time

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.model_config import Tensor
from pytriton.triton import Triton

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
one = np.ones(1, np.float32)


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


@batch
def fatal(INPUT_1):
    raise PyTritonUnrecoverableError("no further inferences possible")


def ask(name):
    with ModelClient(HTTP, name) as client:
        return client.infer_sample(one)["OUTPUT_1"].item()


with Triton() as triton:
    triton.bind("fatal", fatal, FLOATS, FLOATS)
    triton.bind("m", double, FLOATS, FLOATS)
    say("at first", ask("m"), triton.is_alive())
    attempt("fatal", ask, "fatal", words=["no further inferences possible", "PyTritonUnrecoverableError"])
    deadline = time.monotonic() + 60
    while triton.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    say("alive", triton.is_alive())
say("stopped", triton.stop())
