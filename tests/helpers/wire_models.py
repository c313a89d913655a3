# SPDX-License-Identifier: Apache-2.0
"""Models that are asked with requests made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from pytriton.decorators import batch, sample
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array
from tests.helpers.gate import Gate
from tests.helpers.server import Model, Reply

__all__ = ["HEADERS", "TYPES", "data_of", "document_of", "gate", "seen", "wire_models"]

HEADERS: Final = "x-.*"

gate = Gate()
seen: list[Any] = []


@batch
def double(x: Array) -> dict[str, Array]:
    gate.pass_through()
    return {"y": x * 2}


def echo_list(requests: list[Request]) -> list[dict[str, Array]]:
    seen.extend(request.parameters for request in requests)
    return [{"y": request["x"]} for request in requests]


@batch
def join(texts: Array) -> list[Array]:
    return [np.array([[b"+".join(row.tolist())] for row in texts], object)]


@batch
def echo_types(**inputs: Array) -> list[Array]:
    return list(inputs.values())


@sample
def generate(prompt: Array, count: Array | None = None) -> dict[str, Array]:
    times = 1 if count is None else int(count.item())
    return {"text": np.array([prompt.item() * times], object), "sizes": np.arange(times, dtype=np.int32)}


def fail(requests: list[Request]) -> list[dict[str, Array]]:
    raise RuntimeError("no luck")


TYPES: Final = {
    "bool_contents": (np.bool_, [True, False]),
    "int_contents": (np.int16, [-(2**15), 2**15 - 1]),
    "int64_contents": (np.int64, [-(2**63), 2**63 - 1]),
    "uint_contents": (np.uint8, [0, 255]),
    "uint64_contents": (np.uint64, [0, 2**64 - 1]),
    "fp32_contents": (np.float32, [0.5, -1.5]),
    "fp64_contents": (np.float64, [0.1, float("inf")]),
    "bytes_contents": (bytes, [b"", b"nul\0\xff"]),
}


def wire_models() -> Iterator[Model]:
    x, y = [Tensor((-1,), np.float32, "x")], [Tensor((-1,), np.float32, "y")]
    for name, function in (("double", double), ("echo_list", echo_list), ("fail", fail), ("counted", double)):
        yield Model(name, function, x, y, ModelConfig(max_batch_size=8))
    yield Model("versioned", double, x, y)
    yield Model("versioned", echo_list, x, y, version=3)
    texts = [Tensor((-1,), bytes, "texts")], [Tensor((1,), bytes, "joined")]
    yield Model("join", join, *texts, ModelConfig(max_batch_size=8))
    types = [Tensor((-1,), dtype, name) for name, (dtype, _) in TYPES.items()]
    yield Model("types", echo_types, types, types)
    prompt = [Tensor((1,), bytes, "prompt"), Tensor((1,), np.int32, "count", optional=True)]
    text = [Tensor((1,), bytes, "text"), Tensor((-1,), np.int32, "sizes")]
    yield Model("generate", generate, prompt, text, ModelConfig(batching=False))
    yield Model("scalar", double, [Tensor((), np.float32, "x")], [Tensor((), np.float32, "y")])
    described = DynamicBatcher(max_queue_delay_microseconds=5, preferred_batch_size=[2, 4])
    yield Model("described", double, x, y, ModelConfig(max_batch_size=4, batcher=described))


def document_of(*rows: list[float], **more: Any) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": rows}
    return {"inputs": [tensor], **more}


def data_of(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    (output,) = reply.json["outputs"]
    return output["data"]
