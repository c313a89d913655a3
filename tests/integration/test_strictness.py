# SPDX-License-Identifier: Apache-2.0
"""What a function may return: anything that can be cast, or, if bind() is told so, only what was declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array, ask
from tests.helpers.server import Model, Server, running

_DECLARED: Final = {
    "number": Tensor((-1,), np.float32, "number"),
    "whole": Tensor((-1,), np.int32, "whole"),
    "yes": Tensor((-1,), np.bool_, "yes"),
    "text": Tensor((-1,), bytes, "text"),
    "pair": Tensor((2, -1), np.float64, "pair"),
}
_BAD_TEXT: Final = np.array([[b"x"]], object)


class Scripted:
    """Functions that return what the test says."""

    def __init__(self) -> None:
        self.response: Any = None

    def one_by_one(self, requests: list[Request]) -> Any:
        return [self.response for _ in requests]

    @batch
    def at_once(self, **inputs: Array) -> Any:
        return self.response

    def as_it_is(self, requests: list[Request]) -> Any:
        return self.response


scripted = Scripted()


def _models() -> Iterator[Model]:
    inputs = [Tensor((-1,), np.float32, "values")]
    outputs = list(_DECLARED.values())
    for kind, function in (
        ("list", scripted.one_by_one),
        ("batch", scripted.at_once),
        ("raw", scripted.as_it_is),
    ):
        for strict in (False, True):
            name = f"{kind}_strict" if strict else kind
            yield Model(name, function, inputs, outputs, ModelConfig(max_batch_size=4), strict=strict)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.fixture(params=["list", "batch"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def serves_the_next_request(server: Server, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did, every model answers afterwards."""
    yield
    scripted.response = {"number": np.ones((1, 1), np.float32)}
    for model in ("list", "batch", "list_strict", "batch_strict"):
        assert ask(server, model, {"values": np.zeros((1, 1), np.float32)}).outputs["number"].item() == 1


def _answer(server: Server, model: str, **response: Any) -> dict[str, Array]:
    scripted.response = response
    return ask(server, model, {"values": np.zeros((1, 1), np.float32)}).outputs


def _refusal(server: Server, model: str, **response: Any) -> str:
    with pytest.raises(InferenceServerException) as caught:
        _answer(server, model, **response)
    assert caught.value.status() == "StatusCode.INTERNAL"
    return str(caught.value.message())


@pytest.mark.parametrize("strict", ["", "_strict"])
def test_declared_outputs(server: Server, kind: str, strict: str) -> None:
    outputs = _answer(
        server,
        kind + strict,
        number=np.array([[1.5]], np.float32),
        whole=np.array([[1, 2]], np.int32),
        yes=np.array([[True]]),
        text=np.array([[b"a", b"nul\0"]], object),
        pair=np.ones((1, 2, 3)),
    )
    assert {name: (array.dtype.kind, array.shape) for name, array in outputs.items()} == {
        "number": ("f", (1, 1)),
        "whole": ("i", (1, 2)),
        "yes": ("b", (1, 1)),
        "text": ("O", (1, 2)),
        "pair": ("f", (1, 2, 3)),
    }
    assert outputs["text"].tolist() == [[b"a", b"nul\0"]]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("number", np.array([[1.1, 1e300]]), [[np.float32(1.1), np.inf]]),
        ("number", np.array([[1, -2]], np.int64), [[1.0, -2.0]]),
        ("number", np.array([[True]]), [[1.0]]),
        ("number", np.array([[1.5]], np.float16), [[1.5]]),
        ("number", np.array([[b"1.5", b"2"]]), [[1.5, 2.0]]),
        ("number", np.array([["1.5"]]), [[1.5]]),
        ("number", np.array([[b"1.5"]], object), [[1.5]]),
        ("whole", np.array([[1.9, -1.9]]), [[1, -1]]),
        ("whole", np.array([[2**32 + 7]], np.int64), [[7]]),
        ("whole", np.array([[True, False]]), [[1, 0]]),
        ("yes", np.array([[0, 2]], np.int32), [[False, True]]),
        ("yes", np.array([[0.0, 0.5]]), [[False, True]]),
        ("text", np.array([["Zażółć", ""]]), [["Zażółć".encode(), b""]]),
        ("text", np.array([["text", b"bytes"]], object), [[b"text", b"bytes"]]),
        ("text", np.array([[b"fixed", b"s"]]), [[b"fixed", b"s"]]),
        ("text", np.array([[1.5, -2]]), [[b"1.5", b"-2.0"]]),
        ("text", np.array([[7]], np.int32), [[b"7"]]),
        ("pair", np.array([["1", "2"]]), [[1.0, 2.0]]),
        ("number", np.zeros((1, 2, 3), np.float32), np.zeros((1, 2, 3)).tolist()),
    ],
)
def test_outputs_are_cast(server: Server, kind: str, name: str, given: Array, expected: Any) -> None:
    outputs = _answer(server, kind, **{name: given})
    assert outputs[name].tolist() == np.array(expected, outputs[name].dtype).tolist()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("number", np.ones((1, 1))),
        ("number", np.ones((1, 1), np.int32)),
        ("whole", np.ones((1, 1), np.int64)),
        ("yes", np.ones((1, 1), np.uint8)),
        ("text", np.ones((1, 1))),
        ("number", np.array([[b"1"]])),
        ("pair", np.ones((1, 2, 1), np.float32)),
    ],
)
def test_strict_outputs_have_the_declared_dtype(server: Server, kind: str, name: str, given: Array) -> None:
    message = _refusal(server, f"{kind}_strict", **{name: given})
    for words in (
        f'output "{name}"',
        str(given.dtype),
        str(_DECLARED[name].datatype.numpy_dtype.name[:5]),
        "strict",
    ):
        assert words in message or (words == "objec" and "bytes" in message)


@pytest.mark.parametrize("given", [np.array([["text"]]), np.array([[b"S"]]), np.array([[b"O"]], object)])
def test_strict_texts_come_in_three_kinds(server: Server, kind: str, given: Array) -> None:
    assert _answer(server, f"{kind}_strict", text=given)["text"].shape == (1, 1)


@pytest.mark.parametrize(
    ("name", "shape"), [("number", (1,)), ("number", (1, 1, 1)), ("pair", (1, 3, 1)), ("pair", (1, 2))]
)
def test_strict_outputs_have_the_declared_shape(
    server: Server, kind: str, name: str, shape: tuple[int, ...]
) -> None:
    given = np.zeros(shape, _DECLARED[name].datatype.numpy_dtype)
    message = _refusal(server, f"{kind}_strict", **{name: given})
    for words in (f'output "{name}"', str(shape[1:]), str(_DECLARED[name].shape), "strict"):
        assert words in message


def test_undeclared_outputs(server: Server, kind: str) -> None:
    number = np.ones((1, 1), np.float32)
    assert list(_answer(server, kind, number=number, other=number)) == ["number"]
    message = _refusal(server, f"{kind}_strict", number=number, other=number)
    assert 'output "other", which is not declared' in message
    assert '"number", "whole"' in message


@pytest.mark.parametrize("strict", ["", "_strict"])
def test_missing_outputs(server: Server, kind: str, strict: str) -> None:
    assert list(_answer(server, kind + strict, yes=np.array([[True]]))) == ["yes"]
    assert _answer(server, kind + strict) == {}


@pytest.mark.parametrize("strict", ["", "_strict"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[1.0]], ["number", "list", "numpy.ndarray"]),
        (1.0, ["number", "float", "numpy.ndarray"]),
        (None, ["number", "NoneType", "numpy.ndarray"]),
        (np.ones((2, 1), np.float32), ["number", "(2, 1)", "batch size 1"]),
        (np.zeros((), np.float32), ["number", "()", "batch size 1"]),
        (np.float32(1), ["number"]),
        (np.ones((1, 1), np.complex64), ["number", "complex64"]),
        (np.zeros((1, 1), "M8[s]"), ["number", "datetime64"]),
        (np.zeros((1, 1), [("a", "f4")]), ["number", "supported are"]),
        (np.array([[object()]], object), ["number"]),
    ],
)
def test_values_that_are_no_tensor(
    server: Server, kind: str, strict: str, given: Any, words: list[str]
) -> None:
    message = _refusal(server, kind + strict, number=given)
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["number", "whole"])
def test_casts_that_fail(server: Server, kind: str, name: str) -> None:
    message = _refusal(server, kind, **{name: _BAD_TEXT})
    assert f'output "{name}"' in message
    assert "x" in message


@pytest.mark.parametrize("value", [None, 1, 1.5, ["x"]])
def test_objects_that_are_no_text(server: Server, kind: str, value: Any) -> None:
    given = np.empty((1, 1), object)
    given[0, 0] = value
    message = _refusal(server, kind, text=given)
    assert 'output "text"' in message
    assert type(value).__name__ in message


@pytest.mark.parametrize("strict", ["", "_strict"])
@pytest.mark.parametrize(
    ("response", "words"),
    [
        (None, ["NoneType", "expected a list"]),
        ("text", ["str", "expected a list"]),
        ({"number": np.ones((1, 1), np.float32)}, ["dict", "expected a list"]),
        (({"number": np.ones((1, 1), np.float32)},), ["tuple", "expected a list"]),
        (np.ones((1, 1), np.float32), ["ndarray", "expected a list"]),
        ([], ["0 responses for 1 requests"]),
        ([{}, {}], ["2 responses for 1 requests"]),
        ([None], ["NoneType", "expected a dict"]),
        ([[np.ones((1, 1))]], ["list", "expected a dict"]),
        ([{3: np.ones((1, 1))}], ["3", "expected a string"]),
    ],
)
def test_responses_that_are_none(server: Server, strict: str, response: Any, words: list[str]) -> None:
    scripted.response = response
    with pytest.raises(InferenceServerException) as caught:
        ask(server, f"raw{strict}", {"values": np.zeros((1, 1), np.float32)})
    for word in ("raw", *words):
        assert word in caught.value.message()
