# SPDX-License-Identifier: Apache-2.0
"""Parameters of requests and forwarded headers, over both protocols and with every client."""

import asyncio

import numpy as np
import tritonclient.http as http
from seen import ENDPOINTS, HTTP, attempt, say

from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

seen = {}


def scale(requests):
    (request,) = requests
    seen.clear()
    seen.update(request.parameters)
    factor = float(request.parameters.get("multiplier", 1)) / float(
        request.parameters.get("header_divisor", 1)
    )
    return [{"y": request["x"] * np.float32(factor)}]


def shown():
    mine = {
        key: value for key, value in seen.items() if key.startswith(("multiplier", "header", "flag", "text"))
    }
    return {key: f"{type(value).__name__} {value}" for key, value in sorted(mine.items())}


x = np.array([[6]], np.float32)
config = TritonConfig(http_header_forward_pattern="header.*", grpc_header_forward_pattern="header.*")
with Triton(config=config) as triton:
    triton.bind(
        "scale",
        scale,
        [Tensor(name="x", dtype=np.float32, shape=(1,))],
        [Tensor(name="y", dtype=np.float32, shape=(1,))],
        config=ModelConfig(max_batch_size=1),
    )
    for name, url in ENDPOINTS.items():
        with ModelClient(url, "scale") as client:
            parameters = {"multiplier": 2, "flag": True, "text": "ä b"}
            say(name, client.infer_batch(x, parameters=parameters, headers={"header_divisor": "3"}), shown())
            say(name + " none", client.infer_batch(x), shown())
            say(name + " sample", client.infer_sample(x[0], parameters={"multiplier": "4"}), shown())
            attempt(
                name + " float", client.infer_batch, x, parameters={"multiplier": 1.5}, words=["multiplier"]
            )
            attempt(
                name + " list", client.infer_batch, x, parameters={"multiplier": [1]}, words=["multiplier"]
            )
            attempt(name + " key", client.infer_batch, x, parameters={1: 1})
            attempt(name + " not a dict", client.infer_batch, x, parameters="a")
            attempt(name + " header list", client.infer_batch, x, headers={"header_divisor": [1]})
            attempt(name + " reserved", client.infer_batch, x, parameters={"priority": 1})
        with FuturesModelClient(url, "scale", max_workers=1) as client:
            say("futures", client.infer_batch(x, parameters={"multiplier": 3}).result(20), shown())

        async def infer(url=url):
            async with AsyncioModelClient(url, "scale") as client:
                return await client.infer_batch(
                    x, parameters={"multiplier": 5}, headers={"header_divisor": "5"}
                )

        say("asyncio", asyncio.run(infer()), shown())
    with ModelClient(HTTP, "scale") as client:
        say("header number", client.infer_batch(x, headers={"header_divisor": 2}), shown())
    peer = http.InferenceServerClient(HTTP.removeprefix("http://"))
    tensor = http.InferInput("x", [1, 1], "FP32")
    tensor.set_data_from_numpy(x)
    answer = peer.infer("scale", [tensor], headers={"Header_Divisor": "2"}, parameters={"multiplier": 4})
    say("tritonclient", answer.as_numpy("y"), shown())
