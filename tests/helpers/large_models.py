# SPDX-License-Identifier: Apache-2.0
"""Models of large tensors, and the regions of shared memory that their server knows of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.clients import Array
from tests.helpers.gate import Gate
from tests.helpers.server import Model, Server

__all__ = [
    "DTYPES",
    "SIZE",
    "calls",
    "double",
    "gate",
    "is_clear",
    "large_model",
    "large_models",
    "registered",
]

SIZE: Final = 100_000
DTYPES: Final = (np.float32, np.float64, np.int64, np.uint8, np.bool_, np.float16)

gate = Gate()
calls: list[int] = []


@batch
def double(x: Array) -> dict[str, Array]:
    calls.append(len(x))
    return {"y": x + x}


@batch
def slow(x: Array) -> dict[str, Array]:
    gate.pass_through()
    return {"y": x + x}


@batch
def mixed(number: Array, small: Array, text: Array) -> dict[str, Array]:
    return {"small_out": small, "text_out": text, "number_out": number[:, ::-1]}


@batch
def fail(x: Array) -> dict[str, Array]:
    raise ZeroDivisionError("no luck")


@batch
def repeat(x: Array, times: Array) -> dict[str, Array]:
    calls.append(len(x))
    return {"y": np.repeat(x, int(times[0, 0]), axis=1)}


@batch
def stream(x: Array) -> Iterator[dict[str, Array]]:
    for factor in range(1, 4):
        yield {"y": factor * x}


def large_model(name: str, function: Any, size: int = SIZE, dtype: Any = np.float32, **config: Any) -> Model:
    tensors = [Tensor((size,), dtype, "x")], [Tensor((size,), dtype, "y")]
    return Model(name, function, *tensors, ModelConfig(max_batch_size=4, **config))


def large_models() -> list[Model]:
    number, small = Tensor((-1,), np.int32, "number"), Tensor((2,), np.int16, "small")
    text = Tensor((-1,), bytes, "text")
    outputs = [Tensor(each.shape, each.dtype, f"{each.name}_out") for each in (number, small, text)]
    return [
        *(
            large_model(np.dtype(dtype).name, double, dtype=dtype)
            for dtype in DTYPES
            if dtype is not np.bool_
        ),
        Model("bool", batch(lambda x: {"y": ~x}), *_bool(), ModelConfig(max_batch_size=4)),
        large_model("free", double, -1),
        large_model("slow", slow),
        large_model("fail", fail),
        large_model("stream", stream, -1, decoupled=True),
        Model("mixed", mixed, [number, small, text], outputs, ModelConfig(max_batch_size=4)),
        Model(
            "repeat",
            repeat,
            [Tensor((-1,), np.float32, "x"), Tensor((1,), np.int32, "times")],
            [Tensor((-1,), np.float32, "y")],
            ModelConfig(max_batch_size=4),
        ),
    ]


def _bool() -> tuple[list[Tensor], list[Tensor]]:
    return [Tensor((SIZE,), np.bool_, "x")], [Tensor((SIZE,), np.bool_, "y")]


def is_clear(server: Server, url: str) -> bool:
    """Whether the server knows no regions; for those that were in use at the end a client comes and goes."""
    if registered(server):
        with ModelClient(url, "float32", shared_memory="always") as client:
            client.infer_sample(np.ones(SIZE, np.float32))
    return not registered(server)


def registered(server: Server) -> list[str]:
    return [region["name"] for region in server.get("/v2/systemsharedmemory/status").json]
