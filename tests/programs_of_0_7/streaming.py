# SPDX-License-Identifier: Apache-2.0
"""Streams over both clients and over /generate and /generate_stream."""

import asyncio
import json
import urllib.error
import urllib.request

import numpy as np
from seen import GRPC, HTTP, attempt, say

from pytriton.client import AsyncioDecoupledModelClient, AsyncioModelClient, DecoupledModelClient, ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@batch
def count(n):
    for index in range(int(n.max())):
        if index == 3:
            raise RuntimeError("three is too many")
        yield {"i": np.full(n.shape, index, np.int32), "word": np.array([[b"w%d" % index]] * len(n))}


@batch
def echo(n):
    return {"i": n, "word": np.array([[b"one"]] * len(n))}


INPUTS = [Tensor(name="n", dtype=np.int32, shape=(1,))]
OUTPUTS = [Tensor(name="i", dtype=np.int32, shape=(1,)), Tensor(name="word", dtype=bytes, shape=(1,))]


def post(path, document):
    request = urllib.request.Request(
        HTTP + path, json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def asyncio_part():
    async with AsyncioDecoupledModelClient(GRPC, "count") as client:
        say("asyncio sample", [answer async for answer in client.infer_sample(np.array([2], np.int32))])

        async def collect(number):
            return [int(a["i"][0, 0]) async for a in client.infer_batch(np.full((1, 1), number, np.int32))]

        say("asyncio side by side", await asyncio.gather(*(collect(2) for _ in range(3))))
        try:
            await collect(5)
        except Exception as error:
            say("asyncio error", type(error).__name__, "three is too many" in str(error))
    async with AsyncioDecoupledModelClient(GRPC, "echo") as client:
        try:
            async for _ in client.infer_sample(np.array([1], np.int32)):
                pass
        except Exception as error:
            say("asyncio coupled", type(error).__name__)
    async with AsyncioModelClient(GRPC, "count") as client:
        try:
            await client.infer_sample(np.array([1], np.int32))
        except Exception as error:
            say("asyncio model client", type(error).__name__)
    try:
        async with AsyncioDecoupledModelClient(HTTP, "count") as client:
            say("asyncio http", [answer async for answer in client.infer_sample(np.array([1], np.int32))])
    except Exception as error:
        say("asyncio http", type(error).__name__)


with Triton() as triton:
    triton.bind("count", count, INPUTS, OUTPUTS, config=ModelConfig(decoupled=True, max_batch_size=8))
    triton.bind("echo", echo, INPUTS, OUTPUTS)
    with DecoupledModelClient(GRPC, "count") as client:
        say("sample", list(client.infer_sample(np.array([3], np.int32))))
        say("batch", list(client.infer_batch(np.array([[2], [1]], np.int32))))
        say("none", list(client.infer_sample(np.array([0], np.int32))))
        seen = []

        def fail():
            for answer in client.infer_sample(np.array([9], np.int32)):
                seen.append(answer["i"].tolist())

        attempt("mid stream", fail, words=["three is too many", "Traceback"])
        say("before it", seen)
        say("afterwards", list(client.infer_sample(np.array([1], np.int32))))
        say("config", client.model_config.decoupled, client.is_batching_supported)
    with DecoupledModelClient(GRPC, "count") as client:
        attempt("parameters", lambda: list(client.infer_sample(np.array([1], np.int32), parameters={"a": 1})))
    with DecoupledModelClient(GRPC, "echo") as client:
        attempt("decoupled client, coupled model", lambda: list(client.infer_sample(np.array([1], np.int32))))

    def over_http():
        with DecoupledModelClient(HTTP, "count") as client:
            return list(client.infer_sample(np.array([2], np.int32)))

    attempt("decoupled client over http", over_http)
    for url in (HTTP, GRPC):
        with ModelClient(url, "count") as client:
            attempt("model client, streaming model", client.infer_sample, np.array([1], np.int32))
    asyncio.run(asyncio_part())
    say("generate one", post("/v2/models/count/generate", {"n": 1}))
    say("generate coupled", post("/v2/models/echo/generate", {"n": 5}))
    say("generate_stream", post("/v2/models/count/generate_stream", {"n": 2}))
    status, text = post("/v2/models/count/generate_stream", {"n": 5})
    say("generate_stream error", status, text.count("data:"), "three is too many" in text)
    status, text = post("/v2/models/count/generate", {"n": 2})
    say("generate two", status, "error" in text)
    infer = {"inputs": [{"name": "n", "datatype": "INT32", "shape": [1, 1], "data": [1]}]}
    say("infer of a streaming model", post("/v2/models/count/infer", infer)[0])
