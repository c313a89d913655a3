# SPDX-License-Identifier: Apache-2.0
"""Queues: batches that wait, that are full, that run out of time; priorities."""

import concurrent.futures
import threading
import time

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from seen import GRPC, HTTP, attempt, say
from tritonclient.utils import InferenceServerException

from pytriton.client import FuturesModelClient, ModelClient
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor, TimeoutAction
from pytriton.triton import Triton

INPUTS = [Tensor(name="x", dtype=np.int32, shape=(1,))]
OUTPUTS = [Tensor(name="y", dtype=np.int32, shape=(1,))]
gate = threading.Semaphore(0)
entered = threading.Semaphore(0)
order = []


@batch
def sized(x):
    return {"y": np.full_like(x, len(x))}


@batch
def gated(x):
    order.extend(x.ravel().tolist())
    entered.release()
    gate.acquire(timeout=20)
    return {"y": x}


def request(value, **options):
    tensor = grpc.InferInput("x", [1, 1], "INT32")
    tensor.set_data_from_numpy(np.array([[value]], np.int32))
    client = grpc.InferenceServerClient(GRPC.removeprefix("grpc://"))
    try:
        return client.infer(options.pop("model"), [tensor], **options).as_numpy("y").item()
    except InferenceServerException as error:
        return f"{error.status()}: {'timeout' in str(error).lower()} {'queue size' in str(error)}"


def pending(model):
    client = http.InferenceServerClient(HTTP.removeprefix("http://"))
    return client.get_inference_statistics(model)


gated_queue = DynamicBatcher(
    default_queue_policy=QueuePolicy(
        timeout_action=TimeoutAction.REJECT, default_timeout_microseconds=200_000, max_queue_size=2
    )
)
levels = DynamicBatcher(
    priority_levels=3,
    default_priority_level=2,
    priority_queue_policy={1: QueuePolicy(max_queue_size=8)},
)

with Triton() as triton:
    triton.bind(
        "together",
        sized,
        INPUTS,
        OUTPUTS,
        config=ModelConfig(
            max_batch_size=4,
            batcher=DynamicBatcher(max_queue_delay_microseconds=5_000_000, preferred_batch_size=[4]),
        ),
    )
    triton.bind("limited", gated, INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=1, batcher=gated_queue))
    triton.bind("levels", gated, INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=1, batcher=levels))
    triton.bind("unbatched", sized, INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=4, batcher=None))

    with FuturesModelClient(HTTP, "together") as client:
        begin = time.monotonic()
        futures = [client.infer_sample(np.array([1], np.int32)) for _ in range(4)]
        say("together", [future.result(20)["y"].item() for future in futures], time.monotonic() - begin < 5)
    with ModelClient(HTTP, "unbatched") as client:
        say("unbatched", client.infer_batch(np.array([[1], [2]], np.int32)))
        say("batcher", client.model_config.batcher)
        attempt("too many rows", client.infer_batch, np.zeros((5, 1), np.int32), words=["4"])
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        first = pool.submit(request, 1, model="limited")
        entered.acquire(timeout=20)
        waiting = [pool.submit(request, 2, model="limited") for _ in range(4)]
        late = sorted(str(future.result(20)) for future in waiting if future)
        say("limited", late)
        gate.release()
        say("the first", first.result(20))
        order.clear()
        first = pool.submit(request, 1, model="levels")
        entered.acquire(timeout=20)
        slow = pool.submit(request, 3, model="levels", priority=3)
        time.sleep(0.5)
        middle = pool.submit(request, 2, model="levels")
        time.sleep(0.5)
        fast = pool.submit(request, 0, model="levels", priority=1)
        time.sleep(0.5)
        for _ in range(4):
            gate.release()
        say("levels", [future.result(20) for future in (first, slow, middle, fast)], order)
    with ModelClient(HTTP, "limited") as client:
        policy = client.model_config.batcher.default_queue_policy
        say("policy", policy.max_queue_size, policy.default_timeout_microseconds, policy.timeout_action.name)
    with ModelClient(HTTP, "levels") as client:
        batcher = client.model_config.batcher
        say(
            "batcher",
            batcher.priority_levels,
            batcher.default_priority_level,
            list(batcher.priority_queue_policy),
        )
