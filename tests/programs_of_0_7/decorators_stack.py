# SPDX-License-Identifier: Apache-2.0
"""Every decorator by itself and all of them on top of one another."""

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import (
    ConstantPadder,
    batch,
    fill_optionals,
    first_value,
    group_by_keys,
    group_by_values,
    pad_batch,
    sample,
    triton_context,
)
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton

FLOATS = [Tensor(name="x", dtype=np.float32, shape=(-1,))]
RESULT = [Tensor(name="y", dtype=np.float32, shape=(-1,))]


@batch
def by_name(**inputs):
    return {"y": inputs["x"] + 1}


@batch
def by_position(x):
    return [x + 2]


@batch
def as_tuple(x):
    return (x + 3,)


@batch
def wrong_rows(x):
    return {"y": x[:1]}


@sample
def one(x):
    return {"y": x * 10}


@group_by_keys
@batch
def optional(x, z=None):
    return {"y": x if z is None else x + z}


@batch
@group_by_values("k")
def by_value(x, k):
    return {"y": x + np.float32(len(x)), "n": np.full((len(x), 1), len(x), np.int32)}


@batch
@group_by_values("k", pad_fn=ConstantPadder(-1))
def padded(x, k):
    return {"y": np.repeat(x, int(k[0, 0]), axis=1)}


@fill_optionals(z=np.array([100], np.float32))
@batch
def filled(x, z):
    return {"y": x + z}


@batch
@first_value("k")
def first(x, k):
    return {"y": x * k, "n": np.full((len(x), 1), np.ndim(k), np.int32)}


@batch
@pad_batch
def to_size(x):
    return {"y": np.full_like(x, len(x))[:2]}


@batch
@triton_context
def context(x, **kwargs):
    configs = kwargs["triton_context"].model_configs
    own = configs[context]
    return {"y": np.full((len(x), 1), own.max_batch_size, np.float32)}


@fill_optionals(t=np.array([0.5], np.float32))
@group_by_keys
@batch
@group_by_values("t")
@first_value("t")
@triton_context
def stack(triton_context, x, t, z=None):
    extra = 0 if z is None else z
    return {"y": x * t + extra}


@group_by_values("k")
@batch
def upside_down(x, k):
    return {"y": x}


K = Tensor(name="k", dtype=np.int32, shape=(1,))
N = Tensor(name="n", dtype=np.int32, shape=(1,))
Z = Tensor(name="z", dtype=np.float32, shape=(-1,), optional=True)
T = Tensor(name="t", dtype=np.float32, shape=(1,), optional=True)

with Triton() as triton:
    for function in (by_name, by_position, as_tuple, wrong_rows):
        triton.bind(function.__name__, function, FLOATS, RESULT, config=ModelConfig(max_batch_size=8))
    triton.bind("one", one, FLOATS, RESULT, config=ModelConfig(batching=False))
    triton.bind("optional", optional, [*FLOATS, Z], RESULT)
    triton.bind("by_value", by_value, [*FLOATS, K], [*RESULT, N])
    triton.bind("padded", padded, [*FLOATS, K], RESULT)
    triton.bind(
        "filled", filled, [*FLOATS, Tensor(name="z", dtype=np.float32, shape=(1,), optional=True)], RESULT
    )
    triton.bind("first", first, [*FLOATS, K], [*RESULT, N])
    triton.bind(
        "to_size",
        to_size,
        FLOATS,
        RESULT,
        config=ModelConfig(max_batch_size=8, batcher=DynamicBatcher(preferred_batch_size=[4, 8])),
    )
    triton.bind("context", context, FLOATS, RESULT, config=ModelConfig(max_batch_size=7))
    triton.bind("stack", stack, [*FLOATS, T, Z], RESULT)
    triton.bind("upside_down", upside_down, [*FLOATS, K], RESULT)

    x = np.array([[1], [2]], np.float32)
    for name in ("by_name", "by_position", "as_tuple", "to_size", "context"):
        with ModelClient(HTTP, name) as client:
            say(name, client.infer_batch(x))
    with ModelClient(HTTP, "wrong_rows") as client:
        attempt("wrong_rows", client.infer_batch, x, words=["y"])
    with ModelClient(HTTP, "one") as client:
        say("one", client.infer_sample(x[0]))
    with ModelClient(HTTP, "optional") as client:
        say("optional without", client.infer_batch(x=x))
        say("optional with", client.infer_batch(x=x, z=x))
    k = np.array([[2], [1]], np.int32)
    with ModelClient(HTTP, "by_value") as client:
        say("by_value apart", client.infer_batch(x=x, k=k))
        say("by_value together", client.infer_batch(x=x, k=np.ones_like(k)))
    with ModelClient(HTTP, "padded") as client:
        say("padded", client.infer_batch(x=x, k=k))
    with ModelClient(HTTP, "filled") as client:
        say("filled", client.infer_batch(x=x))
        say("given", client.infer_batch(x=x, z=x))
    with ModelClient(HTTP, "first") as client:
        say("first", client.infer_batch(x=x, k=np.full_like(k, 3)))
        attempt("first of several", client.infer_batch, x=x, k=k, words=["k", "PyTritonRuntimeError"])
    with ModelClient(HTTP, "stack") as client:
        say("stack", client.infer_batch(x=x))
        say("stack t", client.infer_batch(x=x, t=np.array([[1], [2]], np.float32)))
        say("stack z", client.infer_batch(x=x, t=np.array([[1], [2]], np.float32), z=x))
    with ModelClient(HTTP, "upside_down") as client:
        attempt("upside_down", client.infer_batch, x=x, k=k, words=["PyTritonRuntimeError"])
