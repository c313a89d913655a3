# SPDX-License-Identifier: Apache-2.0
"""Decorators of the user's own: with wrapt, with functools, with the helpers of the package."""

import functools

import numpy as np
import wrapt
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import (
    batch,
    convert_output,
    get_inference_request_batch_size,
    get_model_config,
    get_triton_context,
)
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@wrapt.decorator
def scaled(wrapped, instance, args, kwargs):
    (requests,) = args
    for request in requests:
        request["x"] = request["x"] * float(request.parameters.get("scale", 1))
    return wrapped(requests, **kwargs)


@wrapt.decorator
def sized(wrapped, instance, args, kwargs):
    (requests,) = args
    sizes = [get_inference_request_batch_size(request) for request in requests]
    results = wrapped(requests)
    for result, size in zip(results, sizes, strict=True):
        result["rows"] = np.full((size, 1), size, np.int32)
    return results


@wrapt.decorator
def capped(wrapped, instance, args, kwargs):
    config = get_model_config(wrapped, instance)
    say("capped sees", config.model_name, config.max_batch_size, config.batching)
    say("inputs", [spec.name for spec in config.inputs], [spec.shape for spec in config.inputs])
    return wrapped(*args, **kwargs)


def plain(function):
    @functools.wraps(function)
    def wrapper(requests):
        return function(requests)

    return wrapper


@wrapt.decorator
def my_batch(wrapped, instance, args, kwargs):
    (requests,) = args
    arrays = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    outputs = convert_output(wrapped(**arrays), wrapped, instance)
    ends = np.cumsum([get_inference_request_batch_size(request) for request in requests])[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: part[index] for name, part in parts.items()} for index in range(len(requests))]


@scaled
@sized
@batch
@capped
def function(x):
    return {"y": x + 1}


@plain
@batch
def under_functools(x):
    return {"y": x + 5}


@my_batch
def own_batch(x):
    return [x + 7]


class Model:
    offset = 100

    @scaled
    @sized
    @batch
    @capped
    def infer(self, x):
        return {"y": x + self.offset}

    @my_batch
    def __call__(self, x):
        return [x + self.offset + 1]


model = Model()
INPUTS = [Tensor(name="x", dtype=np.float32, shape=(-1,))]
OUTPUTS = [Tensor(name="y", dtype=np.float32, shape=(-1,))]
ROWS = [*OUTPUTS, Tensor(name="rows", dtype=np.int32, shape=(1,))]

attempt("context before bind", get_triton_context, function, None)
attempt("config before bind", get_model_config, function, None)
with Triton() as triton:
    triton.bind("function", function, INPUTS, ROWS, config=ModelConfig(max_batch_size=16))
    triton.bind("method", model.infer, INPUTS, ROWS, config=ModelConfig(max_batch_size=32))
    triton.bind("own_batch", own_batch, INPUTS, OUTPUTS)
    triton.bind("object", model, INPUTS, OUTPUTS)
    triton.bind("under_functools", under_functools, INPUTS, OUTPUTS)
    x = np.array([[1, 2], [3, 4]], np.float32)
    for name in ("function", "method"):
        with ModelClient(HTTP, name) as client:
            say(name, client.infer_batch(x))
            say(name + " scaled", client.infer_batch(x, parameters={"scale": "10"}))
    for name in ("own_batch", "object", "under_functools"):
        with ModelClient(HTTP, name) as client:
            say(name, client.infer_batch(x))
    say(
        "context",
        sorted(config.model_name for config in get_triton_context(function, None).model_configs.values()),
    )
    say("of a method", get_model_config(model.infer, model).model_name)
