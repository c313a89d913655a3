# SPDX-License-Identifier: Apache-2.0
"""Warm-up of models on a real server: done before the model is ready, and loud when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch, triton_context
from pytriton.exceptions import PyTritonBadParameterError, PyTritonModelLoadError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.common import ModelWarmup, WarmupInput
from tests.helpers.clients import ask
from tests.helpers.server import TIMEOUT_S, Model, Server
from tests.helpers.vectors import answer, echo, vector_model

FLOATS: Final = Tensor(dtype=np.float32, shape=(-1,))


def warm_model(name: str, function: Any, *, count: int = 3, batch_size: int = 2, **options: Any) -> Model:
    """A model of one vector that is warmed up."""
    item = WarmupInput(np.float32, (4,), random_data=True)
    config = ModelConfig(model_warmup=[ModelWarmup("w", batch_size, {"INPUT_1": item}, count)], **options)
    return Model(name, function, [FLOATS], [FLOATS], config)


class Warm:
    """Notes its calls; the threads tell which worker made them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[int, ...]]] = []

    @batch
    @triton_context
    def infer(self, triton_context: Any, **inputs: Any) -> Any:
        (array,) = inputs.values()
        self.calls.append((threading.current_thread().name, array.shape))
        return [array]

    @batch
    def steps(self, **inputs: Any) -> Iterator[Any]:
        for array in inputs.values():
            self.calls.append((threading.current_thread().name, array.shape))
            yield [array]
            yield [array]

    @batch
    async def later(self, **inputs: Any) -> Any:
        (array,) = inputs.values()
        self.calls.append((threading.current_thread().name, array.shape))
        return [array]


def test_model_is_warm_when_it_is_ready(serve: Callable[..., Server]) -> None:
    one, other, late = Warm(), Warm(), Warm()
    server = serve(warm_model("two", [one.infer, other.later]), vector_model("cold", echo))
    assert [shape for _, shape in one.calls] == [(2, 4)] * 3
    assert [shape for _, shape in other.calls] == [(2, 4)] * 3
    warm_model("late", late.infer).bind_to(server.triton)
    assert len(late.calls) == 3
    assert answer(server, "late", 1, 2) == [1, 2]
    # What served the request is what was warmed up.
    assert {thread for thread, _ in late.calls} == {"pytriton-late-0"}
    # The server itself sends no requests of its own.
    assert server.statistics("late")["inference_count"] == 1
    assert server.get("/v2/models/late/config").json["model_warmup"] == []


def test_model_is_not_there_before_it_is_warm(serve: Callable[..., Server]) -> None:
    entered, leave = threading.Event(), threading.Event()

    @batch
    def slow(**inputs: Any) -> Any:
        entered.set()
        assert leave.wait(TIMEOUT_S)
        return list(inputs.values())

    server = serve(vector_model("cold", echo))
    bound: Future[None] = Future()

    def bind() -> None:
        try:
            warm_model("slow", slow, count=1).bind_to(server.triton)
            bound.set_result(None)
        except BaseException as error:
            bound.set_exception(error)

    thread = threading.Thread(target=bind)
    thread.start()
    try:
        assert entered.wait(TIMEOUT_S)
        assert server.get("/v2/models/slow/ready").status == 400
        assert server.get("/v2/health/ready").status == 200
        assert answer(server, "cold", 5) == [5]
        assert not bound.done()
    finally:
        leave.set()
        thread.join()
    bound.result(0)
    assert server.get("/v2/models/slow/ready").status == 200


def test_without_batching_and_streaming(serve: Callable[..., Server]) -> None:
    plain, stream = Warm(), Warm()

    def infer(requests: Any) -> Any:
        return [plain.infer([request])[0] for request in requests]

    serve(
        warm_model("plain", plain.infer, count=2, batching=False),
        warm_model("stream", stream.steps, count=2, decoupled=True),
    )
    assert [shape for _, shape in plain.calls] == [(4,)] * 2
    assert [shape for _, shape in stream.calls] == [(2, 4)] * 2


@batch
def broken(**inputs: Any) -> Any:
    raise ArithmeticError("not today")


def test_failure_is_an_error_of_run(serve: Callable[..., Server]) -> None:
    with pytest.raises(
        PyTritonModelLoadError, match=r'(?s)model "broken": request 1 of 3 of warm-up "w".*not today'
    ):
        serve(warm_model("broken", broken), vector_model("cold", echo))


def test_failure_is_an_error_of_bind_and_leaves_no_trace(serve: Callable[..., Server]) -> None:
    server = serve(vector_model("cold", echo))
    with pytest.raises(PyTritonModelLoadError, match="not today"):
        warm_model("m", broken).bind_to(server.triton)
    with pytest.raises(PyTritonModelLoadError, match="must be the batch size 2"):
        warm_model("m", batch(lambda **inputs: [np.zeros(1)])).bind_to(server.triton)
    with pytest.raises(PyTritonBadParameterError, match='model "m": warm-up "w": `batch_size`'):
        warm_model("m", echo, batch_size=0).bind_to(server.triton)
    assert server.triton.is_alive()
    assert server.get("/v2/health/ready").status == 200
    assert answer(server, "cold", 5) == [5]
    with pytest.raises(InferenceServerException, match="unknown model"):
        ask(server, "m", {"INPUT_1": np.zeros((1, 1), np.float32)})
    warm_model("m", echo).bind_to(server.triton)
    assert answer(server, "m", 5) == [5]
