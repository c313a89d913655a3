# SPDX-License-Identifier: Apache-2.0
"""Everything that can be bound, each as one model."""

import asyncio
import functools
import threading

import numpy as np
from seen import GRPC, HTTP, attempt, say

from pytriton.client import DecoupledModelClient, ModelClient
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

INPUTS = [Tensor(dtype=np.float32, shape=(-1,))]
OUTPUTS = [Tensor(dtype=np.float32, shape=(-1,))]


def double(requests):
    return [{"OUTPUT_1": request["INPUT_1"] * 2} for request in requests]


async def coroutine(requests):
    await asyncio.sleep(0.01)
    return double(requests)


def generator(requests):
    yield double(requests)


def times(factor, requests):
    return [{"OUTPUT_1": request["INPUT_1"] * factor} for request in requests]


@batch
def batched_times(INPUT_1, factor):
    return [INPUT_1 * factor]


class Model:
    def __call__(self, requests):
        return double(requests)

    def method(self, requests):
        return double(requests)

    async def async_method(self, requests):
        return double(requests)

    @staticmethod
    def static(requests):
        return double(requests)

    @classmethod
    def of_class(cls, requests):
        return double(requests)

    @batch
    def batched(self, INPUT_1):
        return [INPUT_1 * 3]


class Async:
    async def __call__(self, requests):
        return double(requests)


def stream(requests):
    for factor in range(3):
        yield times(factor, requests)


async def async_stream(requests):
    for factor in range(3):
        await asyncio.sleep(0)
        yield times(factor, requests)


@batch
def batched_stream(INPUT_1):
    for factor in range(3):
        yield {"OUTPUT_1": INPUT_1 * factor}


class Stream:
    def __call__(self, requests):
        yield from stream(requests)


def empty(requests):
    return
    yield


def on_thread(requests):
    main = threading.current_thread() is threading.main_thread()
    return [{"OUTPUT_1": np.full_like(request["INPUT_1"], main)} for request in requests]


def spell(requests):
    kinds = ",".join(sorted({type(request).__name__ for request in requests}))
    (request,) = requests
    say("request", kinds, len(request), list(request), "INPUT_1" in request, request.requested_output_names)
    say("mapping", dict(request), {**request}, request.parameters, request.span)
    return double(requests)


model = Model()
COUPLED = {
    "function": double,
    "lambda": lambda requests: double(requests),
    "coroutine": coroutine,
    "generator_once": generator,
    "partial": functools.partial(times, 4),
    "batched_partial": batch(functools.partial(batched_times.__wrapped__, factor=5)),
    "object": model,
    "method": model.method,
    "async_method": model.async_method,
    "static": Model.static,
    "of_class": Model.of_class,
    "batched_method": model.batched,
    "async_object": Async(),
    "on_thread": on_thread,
    "spell": spell,
}
STREAMS = {
    "stream": stream,
    "async_stream": async_stream,
    "batched_stream": batched_stream,
    "object_stream": Stream(),
    "empty": empty,
    "one_response": double,
    "coroutine_response": coroutine,
}

with Triton() as triton:
    for name, function in COUPLED.items():
        triton.bind(name, function, INPUTS, OUTPUTS)
    for name, function in STREAMS.items():
        triton.bind(name, function, INPUTS, OUTPUTS, config=ModelConfig(decoupled=True))
    x = np.array([[1, 2]], np.float32)
    for name in COUPLED:
        with ModelClient(HTTP, name) as client:
            attempt(name, client.infer_batch, x)
    for name in STREAMS:
        with DecoupledModelClient(GRPC, name) as client:
            attempt(name, lambda: list(client.infer_batch(x)))
