# SPDX-License-Identifier: Apache-2.0
"""FuturesModelClient, a client made of it, and its queue."""

import concurrent.futures
import threading

import numpy as np
from seen import GRPC, HTTP, attempt, say

from pytriton.client import FuturesModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

gate = threading.Event()


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


def gated(requests):
    gate.wait(20)
    return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


class ChunkingClient(FuturesModelClient):
    def __init__(self, host, model_name, max_workers=None):
        super().__init__(host, model_name, max_workers=max_workers)

    def infer_batch(self, *args, **kwargs):
        size = self.model_config().result().max_batch_size
        rows = len(next(iter(kwargs.values())))
        chunks = [
            {name: value[at : at + size] for name, value in kwargs.items()} for at in range(0, rows, size)
        ]
        yield from [super(ChunkingClient, self).infer_batch(*args, **chunk) for chunk in chunks]


FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
one = np.ones(1, np.float32)
with Triton() as triton:
    triton.bind("m", double, FLOATS, FLOATS, config=ModelConfig(max_batch_size=2))
    triton.bind("gated", gated, FLOATS, FLOATS, config=ModelConfig(max_batch_size=1))
    with FuturesModelClient(HTTP, "m", max_workers=4) as client:
        futures = [client.infer_sample(np.full(1, index, np.float32)) for index in range(20)]
        say("twenty", [future.result(20)["OUTPUT_1"].item() for future in futures])
        say(
            "future",
            isinstance(futures[0], concurrent.futures.Future),
            client.infer_batch(one[None]).result(20),
        )
        say("config", client.model_config().result(20).max_batch_size, client.wait_for_model(5).result(20))
        attempt("no input", lambda: client.infer_sample().result(20), words=["Provide input data"])
        attempt("mixed", lambda: client.infer_sample(one, INPUT_1=one).result(20))
        attempt("too many rows", lambda: client.infer_batch(np.zeros((3, 1), np.float32)).result(20))
    attempt("closed", client.infer_sample, one)
    attempt("closed wait", client.wait_for_model, 1)
    with FuturesModelClient(GRPC, "m", max_workers=1) as client:
        say("grpc", client.infer_sample(one).result(20))
    with ChunkingClient(HTTP, "m") as client:
        data = np.arange(5, dtype=np.float32)[:, None]
        say("chunks", [future.result(20)["OUTPUT_1"] for future in client.infer_batch(INPUT_1=data)])
    with FuturesModelClient(HTTP, "gated", max_workers=1, max_queue_size=2, non_blocking=True) as client:
        client.model_config().result(20)
        first = [client.infer_sample(one)]

        def fill():
            while True:
                first.append(client.infer_sample(one))

        attempt("full", fill)
        gate.set()
        say("answered", all(future.result(20)["OUTPUT_1"] == 1 for future in first))
    with FuturesModelClient(HTTP, "missing", init_timeout_s=2) as client:
        attempt("unknown model", lambda: client.infer_sample(one).result(30))

    def at_a_bad_url():
        with FuturesModelClient("ftp://x", "m") as client:
            client.infer_sample(one).result(30)

    attempt("bad url", at_a_bad_url)
attempt("no workers", FuturesModelClient, HTTP, "m", max_workers=0)
attempt("no queue", FuturesModelClient, HTTP, "m", max_queue_size=0)
with FuturesModelClient("http://127.0.0.1:1", "m", init_timeout_s=2) as client:
    attempt("nobody there", lambda: client.infer_sample(one).result(30))
