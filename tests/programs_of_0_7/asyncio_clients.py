# SPDX-License-Identifier: Apache-2.0
"""AsyncioModelClient over both protocols."""

import asyncio

import numpy as np
from seen import ENDPOINTS, say

from pytriton.client import AsyncioModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


@batch
def fails(INPUT_1):
    raise ValueError("of the function")


FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
one = np.ones(1, np.float32)


async def attempt(label, awaitable, words=()):
    try:
        say(label, "returns", await awaitable)
    except Exception as error:
        say(
            label,
            f"raises {type(error).__module__}.{type(error).__name__}",
            *(w for w in words if w in str(error)),
        )


async def main(url):
    async with AsyncioModelClient(url, "m") as client:
        say("sample", await client.infer_sample(one), await client.infer_batch(one[None]))
        answers = await asyncio.gather(*(client.infer_sample(one * index) for index in range(10)))
        say("side by side", [answer["OUTPUT_1"].item() for answer in answers])
        config = await client.model_config
        say("config", config.model_name, config.max_batch_size, config.inputs[0].name)
        await attempt("wait", client.wait_for_model(5))
        await attempt("no input", client.infer_sample(), ["Provide input data"])
        await attempt("mixed", client.infer_sample(one, INPUT_1=one))
        await attempt("text", client.infer_batch(INPUT_1="text"))
        await attempt("too many rows", client.infer_batch(np.zeros((9, 1), np.float32)))
        await attempt("named", client.infer_batch(INPUT_1=one[None]))
        await attempt("unknown name", client.infer_batch(X=one[None]))
    async with AsyncioModelClient(url, "single") as client:
        await attempt("single", client.infer_sample(one))
        await attempt("no batches", client.infer_batch(one[None]))
    async with AsyncioModelClient(url, "fails") as client:
        await attempt("error", client.infer_sample(one), ["of the function", "Traceback"])
    async with AsyncioModelClient(url, "missing", init_timeout_s=2) as client:
        await attempt("unknown model", client.infer_sample(one))

    async def eager():
        async with AsyncioModelClient(url, "missing", lazy_init=False, init_timeout_s=2):
            pass

    await attempt("eager", eager())
    client = AsyncioModelClient(url, "m", "1", inference_timeout_s=20)
    await attempt("by hand", client.infer_sample(one))
    await client.close()


with Triton() as triton:
    triton.bind("m", double, FLOATS, FLOATS, config=ModelConfig(max_batch_size=8))
    triton.bind("single", double, FLOATS, FLOATS, config=ModelConfig(batching=False))
    triton.bind("fails", fails, FLOATS, FLOATS)
    for url in ENDPOINTS.values():
        asyncio.run(main(url))
    try:
        AsyncioModelClient("ftp://x", "m")
    except Exception as error:
        say("url", type(error).__name__)
