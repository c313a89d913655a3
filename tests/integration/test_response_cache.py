# SPDX-License-Identifier: Apache-2.0
"""The server's response cache in front of a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import TRANSPORTS, Array, ask
from tests.helpers.server import Model, Server, running

_CACHE: Final = {"cache_config": ["local,size=4194304"]}

calls: list[int] = []


@batch
def double(values: Array) -> list[Array]:
    calls.append(len(values))
    return [values * 2]


def upper(requests: list[Request]) -> list[dict[str, Array]]:
    calls.extend(len(request["texts"]) for request in requests)
    return [{"same": np.char.upper(request["texts"].astype(np.bytes_))} for request in requests]


@batch
def fail(values: Array) -> list[Array]:
    calls.append(len(values))
    raise RuntimeError("no luck")


def _models(batcher: DynamicBatcher | None = None) -> Iterator[Model]:
    config = ModelConfig(response_cache=True, batcher=batcher)
    numbers = [Tensor((-1,), np.float32, "values")], [Tensor((-1,), np.float32, "doubled")]
    yield Model("numbers", double, *numbers, config)
    yield Model("fail", fail, *numbers, config)
    yield Model("uncached", double, *numbers)
    texts = [Tensor((-1,), bytes, "texts")], [Tensor((-1,), bytes, "same")]
    yield Model("texts", upper, *texts, config)


@pytest.fixture(scope="module", params=["batcher", "no batcher"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    batcher = DynamicBatcher() if request.param == "batcher" else None
    with running(*_models(batcher), config=_CACHE) as server:
        yield server


@pytest.fixture(autouse=True)
def forget() -> None:
    calls.clear()


def _numbers(*values: float) -> dict[str, Array]:
    return {"values": np.array([values], np.float32)}


def _texts(*values: bytes) -> dict[str, Array]:
    return {"texts": np.array([values], object)}


def test_equal_requests_call_the_function_once(server: Server) -> None:
    for transport in TRANSPORTS * 3:
        outputs = ask(server, "numbers", _numbers(1, 2), transport, outputs=["doubled"]).outputs
        assert outputs["doubled"].tolist() == [[2, 4]]
    assert calls == [1]
    statistics = server.statistics("numbers")["inference_stats"]
    assert statistics["cache_hit"]["count"] >= 8
    assert server.metrics("numbers")["nv_cache_num_hits_per_model"] >= 8


def test_other_requests_call_it_again(server: Server) -> None:
    for values in ((5.0,), (6.0,), (5.0, 5.0), (5.0,)):
        assert ask(server, "numbers", _numbers(*values)).outputs["doubled"].tolist() == [
            [2 * v for v in values]
        ]
    assert calls == [1, 1, 1]


@pytest.mark.parametrize("size", [1, 1000])
def test_strings_are_cached(server: Server, size: int) -> None:
    texts = [f"text {number}".encode() for number in range(size)]
    for transport in TRANSPORTS * 2:
        same = ask(server, "texts", _texts(*texts), transport, outputs=["same"]).outputs["same"]
        found = [text.encode() if isinstance(text, str) else text for text in same[0]]
        assert found == [text.upper() for text in texts]
    assert calls == [1]


def test_strings_that_join_to_the_same_are_not_the_same(server: Server) -> None:
    for texts in ((b"ab", b"c"), (b"a", b"bc"), (b"abc", b""), (b"abc",)):
        assert ask(server, "texts", _texts(*texts)).outputs["same"][0].tolist() == [t.upper() for t in texts]
    assert calls == [1] * 4


def test_errors_are_not_cached(server: Server) -> None:
    for _ in range(2):
        for transport in TRANSPORTS:
            with pytest.raises(InferenceServerException, match="no luck"):
                ask(server, "fail", _numbers(1), transport, outputs=["doubled"])
    assert calls == [1] * 6


def test_models_that_did_not_ask_for_it_are_not_cached(server: Server) -> None:
    for _ in range(2):
        ask(server, "uncached", _numbers(1))
    assert calls == [1, 1]


def test_without_a_cache_the_model_is_served_all_the_same(serve: Callable[..., Any]) -> None:
    server = serve(*_models())
    for _ in range(2):
        assert ask(server, "numbers", _numbers(1)).outputs["doubled"].item() == 2
    assert calls == [1, 1]
