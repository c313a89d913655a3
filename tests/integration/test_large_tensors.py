# SPDX-License-Identifier: Apache-2.0
"""Tensors of hundreds of megabytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array, ask
from tests.helpers.server import Model, Server, running

_ELEMENTS: Final = 300 * 1000 * 1000 // 4
_MIDDLE: Final = 25 * 1000 * 1000 // 4

pytestmark = pytest.mark.slow


@batch
def echo(values: Array) -> list[Array]:
    return [values]


def reverse(requests: list[Request]) -> list[dict[str, Array]]:
    return [{"result": request["values"][:, ::-1]} for request in requests]


@batch
def count_up(values: Array) -> dict[str, Array]:
    size = int(values[0, 0])
    return {"result": np.arange(size, dtype=np.float32).reshape(1, size)}


def _models() -> Iterator[Model]:
    values = [Tensor((-1,), np.float32, "values")]
    result = [Tensor((-1,), np.float32, "result")]
    config = ModelConfig(max_batch_size=4)
    for function in (echo, reverse, count_up):
        yield Model(function.__name__, function, values, result, config)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.fixture(scope="module")
def values() -> Array:
    return np.arange(_ELEMENTS, dtype=np.float32).reshape(1, -1)


@pytest.mark.parametrize(("model", "transport"), [("echo", "grpc"), ("reverse", "binary")])
def test_three_hundred_megabytes(server: Server, values: Array, model: str, transport: str) -> None:
    result = ask(server, model, {"values": values}, transport).outputs["result"]
    assert np.array_equal(result, values if model == "echo" else values[:, ::-1])


@pytest.mark.parametrize("transport", ["binary", "grpc"])
def test_a_large_result_of_a_small_request(server: Server, values: Array, transport: str) -> None:
    size = np.array([[_ELEMENTS]], np.float32)
    assert np.array_equal(ask(server, "count_up", {"values": size}, transport).outputs["result"], values)


@pytest.mark.parametrize("transport", ["binary", "grpc"])
def test_sizes_that_go_up_and_down(server: Server, values: Array, transport: str) -> None:
    for size in (1, _MIDDLE, 10, 3 * _MIDDLE, 1000, _MIDDLE, 1):
        for model in ("echo", "count_up"):
            given = values[:, :size] if model == "echo" else np.array([[size]], np.float32)
            result = ask(server, model, {"values": given}, transport).outputs["result"]
            assert np.array_equal(result, values[:, :size])


def test_a_server_that_sent_large_answers_stops_at_once(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(*_models())
    ask(server, "count_up", {"values": np.array([[_ELEMENTS]], np.float32)})
    begin = time.monotonic()
    server.close()
    assert time.monotonic() - begin < 5
    assert "killed" not in caplog.text
