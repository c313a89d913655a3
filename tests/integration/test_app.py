# SPDX-License-Identifier: Apache-2.0
"""Models of an App on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from pytriton import App, Router
from pytriton.arrays import F32
from pytriton.client import DecoupledModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientInferenceServerError
from pytriton.decorators import batch
from pytriton.exceptions import ErrorCode
from pytriton.model_config import Tensor
from pytriton.request import Array
from tests.helpers.server import OPEN, Address, local_config

app, router = App(), Router(prefix="r.")


@app.model
def add(x: Annotated[F32, "batch", "n"], y: Annotated[F32, "batch", "n"]) -> Annotated[F32, "batch", "n"]:
    return x + y


@app.model
def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


@app.model(name="shout_async")
async def _shout_async(text: str, times: int = 1) -> str:
    return text.upper() * times


class Summary(NamedTuple):
    mean: Annotated[F32, "batch"]
    label: list[str]


@app.model
def summary(x: Annotated[F32, "batch", -1], scale: float = 1.0) -> Summary:
    return Summary((x.mean(1) * scale).astype(np.float32), [f"{row[0]:g}" for row in x])


@app.model
def tokens(prompt: str, count: int = 3) -> Iterator[str]:
    for index in range(count):
        yield f"{prompt}{index}"


@router.model(name="tokens")
async def tokens_async(prompt: str, count: int = 3) -> AsyncIterator[str]:
    for index in range(count):
        yield f"{prompt}{index}"


@app.model(devices=["cpu"])
class Embedder:
    def __init__(self, device: str) -> None:
        self._device = device

    def __call__(self, text: list[str]) -> Annotated[F32, "batch", 2]:
        return np.array([[len(each), len(self._device)] for each in text], np.float32)


@batch
def _double(x: Array) -> Any:
    return [2 * x]


app.include(router)
app.bind("double", _double, [Tensor((-1,), np.float32, name="x")], [Tensor((-1,), np.float32, name="y")])


@pytest.fixture(scope="module")
def address(module_leaves_nothing: None) -> Iterator[Address]:
    config, address = local_config()
    with app.triton(config=config, security_config=OPEN):
        # The event loops of coroutines stay as long as the models.
        ask(address, "shout_async", ["a"])
        stream(address, "r.tokens")
        yield address
        address.close()


def stream(address: Address, model: str) -> list[Any]:
    with DecoupledModelClient(f"grpc://127.0.0.1:{address.grpc_port}", model) as client:
        return [step["output"].item() for step in client.infer_sample("a", parameters={"count": 2})]


def ask(address: Address, model: str, *inputs: Any, parameters: Any = None) -> dict[str, Array]:
    with ModelClient(address.url, model) as client:
        return client.infer_batch(*inputs, parameters=parameters)


def test_arrays(address: Address) -> None:
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(ask(address, "add", x, 2 * x)["output"], 3 * x)


def test_dimensions_that_do_not_agree(address: Address) -> None:
    x = np.ones((2, 3), np.float32)
    with pytest.raises(PyTritonClientInferenceServerError) as caught:
        ask(address, "add", x, x[:, :2])
    assert 'dimension "n" must be the same everywhere, but it is 3 in input "x", 2 in input "y"' in str(
        caught.value
    )
    assert caught.value.code is ErrorCode.INVALID_ARG


@pytest.mark.parametrize("model", ["shout", "shout_async"])
def test_samples(address: Address, model: str) -> None:
    result = ask(address, model, ["a", "é"], parameters={"times": 2})
    assert [text.decode() for text in result["output"]] == ["AA", "ÉÉ"]
    reply = address.post(f"/v2/models/{model}/generate", {"text": "abc", "times": 3})
    assert reply.json["output"] == "ABCABCABC"


def test_several_outputs(address: Address) -> None:
    result = ask(address, "summary", np.ones((2, 3), np.float32), parameters={"scale": "2.5"})
    assert result["mean"].tolist() == [2.5, 2.5]
    assert result["label"].tolist() == [b"1", b"1"]


@pytest.mark.parametrize("model", ["tokens", "r.tokens"])
def test_streams(address: Address, model: str) -> None:
    assert stream(address, model) == [b"a0", b"a1"]


def test_classes(address: Address) -> None:
    assert ask(address, "Embedder", ["ab", "c"])["output"].tolist() == [[2.0, 3.0], [1.0, 3.0]]


def test_plain_bindings_beside_them(address: Address) -> None:
    assert ask(address, "double", np.ones((1, 2), np.float32))["y"].tolist() == [[2.0, 2.0]]
