# SPDX-License-Identifier: Apache-2.0
"""Every dtype, and results of other dtypes than declared, strict or not."""

import numpy as np
from seen import ENDPOINTS, HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
]


@batch
def identity(**inputs):
    matches = [inputs[dtype].dtype == dtype for dtype in DTYPES]
    rows = len(inputs["bool"])
    return {**{f"{dtype}_out": inputs[dtype] for dtype in DTYPES}, "same": np.full((rows, 1), all(matches))}


def giving(array):
    @batch
    def function(x):
        return {"y": np.repeat(array, len(x), axis=0)}

    return function


CASTS = {
    "int64 as float32": np.array([[7]], np.int64),
    "float64 as float32": np.array([[0.1]]),
    "bool as float32": np.array([[True]]),
    "bytes as float32": np.array([[b"2.5"]]),
}
x_float = [Tensor(name="x", dtype=np.float32, shape=(1,))]
y_float = [Tensor(name="y", dtype=np.float32, shape=(1,))]
y_int = [Tensor(name="y", dtype=np.int32, shape=(1,))]
ones = np.ones((2, 1), np.float32)
with Triton() as triton:
    triton.bind(
        "identity",
        identity,
        [Tensor(name=dtype, dtype=np.dtype(dtype), shape=(-1,)) for dtype in DTYPES],
        [
            *[Tensor(name=f"{dtype}_out", dtype=np.dtype(dtype).type, shape=(-1,)) for dtype in DTYPES],
            Tensor(name="same", dtype=np.bool_, shape=(1,)),
        ],
        config=ModelConfig(max_batch_size=16),
    )
    for number, array in enumerate(CASTS.values()):
        triton.bind(f"cast{number}", giving(array), x_float, y_float)
        triton.bind(f"strict{number}", giving(array), x_float, y_float, strict=True)
    triton.bind("to_int", giving(np.array([[-1.9]])), x_float, y_int)
    triton.bind("wrong_rank", giving(np.ones((1, 1, 1), np.float32)), x_float, y_float)
    triton.bind("wrong_rank_strict", giving(np.ones((1, 1, 1), np.float32)), x_float, y_float, strict=True)
    triton.bind("wrong_dim_strict", giving(np.ones((1, 2), np.float32)), x_float, y_float, strict=True)
    triton.bind("wrong_dim", giving(np.ones((1, 2), np.float32)), x_float, y_float)
    for protocol, url in ENDPOINTS.items():
        with ModelClient(url, "identity") as client:
            for name, array in client.infer_batch(
                **{dtype: np.array([[0, 1], [1, 0]]).astype(dtype) for dtype in DTYPES}
            ).items():
                say(f"{protocol} {name}", array)
            say("spec", [np.dtype(spec.dtype).name for spec in client.model_config.inputs])
    for number, name in enumerate(CASTS):
        for kind in ("cast", "strict"):
            with ModelClient(HTTP, f"{kind}{number}") as client:
                attempt(f"{name} {kind}", client.infer_batch, ones, words=["y"])
    for name in ("to_int", "wrong_rank", "wrong_rank_strict", "wrong_dim", "wrong_dim_strict"):
        with ModelClient(HTTP, name) as client:
            attempt(name, client.infer_batch, ones, words=["y"])
