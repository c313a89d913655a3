# SPDX-License-Identifier: Apache-2.0
"""Triton in the main thread, in another, twice in one process, and stopped while it answers."""

import threading
import time

import numpy as np
from seen import HTTP, attempt, say

from pytriton.check.utils import find_free_port
from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import Triton, TritonConfig

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
one = np.ones(1, np.float32)


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


@batch
def slow(INPUT_1):
    time.sleep(2)
    return [INPUT_1]


def ask(name, url=HTTP, **options):
    with ModelClient(url, name, **options) as client:
        return client.infer_sample(one)["OUTPUT_1"].item()


triton = Triton()
attempt("stop at first", triton.stop)
triton.bind("m", double, FLOATS, FLOATS)
thread = threading.Thread(target=triton.serve, kwargs={"monitoring_period_s": 1}, daemon=True)
thread.start()
while not triton.is_connected():
    time.sleep(0.1)
say("in a thread", ask("m"), triton.is_alive())
other_config = TritonConfig(http_port=find_free_port(), allow_grpc=False, allow_metrics=False)
with Triton(config=other_config) as other:
    other.bind("n", double, FLOATS, FLOATS)
    say("a second server", ask("n", f"http://127.0.0.1:{other_config.http_port}"), ask("m"))
say("the first serves on", ask("m"))
say("stop", triton.stop())
thread.join(20)
say("ended", thread.is_alive(), triton.is_alive(), triton.is_connected())

with Triton() as triton:
    triton.bind("slow", slow, FLOATS, FLOATS)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask("slow")))
    asking.start()
    time.sleep(1)
    triton.stop()
    asking.join(20)
    say("in flight", answers)
