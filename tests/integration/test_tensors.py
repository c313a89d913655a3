# SPDX-License-Identifier: Apache-2.0
"""Shapes, optional inputs and chosen outputs, one request at a time and merged into batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch, sample
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import TRANSPORTS, Array, ask, ask_later, pick
from tests.helpers.gate import Gate, plugged, wait_for_queue
from tests.helpers.server import Model, Server, running

_MANY: Final = 128
_WIDE: Final = [np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64, bytes, np.bool_] * 3

gate = Gate()
batches: list[int] = []
asked_for: list[list[str] | None] = []


@batch
def echo(**inputs: Array) -> list[Array]:
    return list(inputs.values())


@batch
def echo_wide_batch(**inputs: Array) -> list[Array]:
    batches.append(len(next(iter(inputs.values()))))
    gate.pass_through()
    return list(inputs.values())


def echo_wide_list(requests: list[Request]) -> list[dict[str, Array]]:
    batches.append(len(requests))
    gate.pass_through()
    return [
        {name.replace("INPUT", "OUTPUT"): array for name, array in request.items()} for request in requests
    ]


@batch
def name_what_came(**inputs: Array) -> dict[str, Array]:
    gate.pass_through()
    rows = len(next(iter(inputs.values())))
    batches.append(rows)
    return {"names": np.full((rows, 1), ",".join(inputs).encode(), object)}


@sample
def add_what_came(**inputs: Array) -> dict[str, Array]:
    return {"sum": np.array([sum(array.sum() for array in inputs.values())], np.float32)}


def two_outputs(requests: list[Request]) -> list[dict[str, Array]]:
    asked_for.extend(request.requested_output_names for request in requests)
    return [
        {"first": request["values"] + 1, "second": request["values"] + 2, "undeclared": np.zeros(7)}
        for request in requests
    ]


def one_of_two_outputs(requests: list[Request]) -> list[dict[str, Array]]:
    return [{"second": request["values"]} for request in requests]


def _models() -> Iterator[Model]:
    def numbers(*shape: int, **options: Any) -> Tensor:
        return Tensor(shape, np.float32, **options)

    yield Model("vector", echo, [numbers(-1)], [numbers(-1)], ModelConfig(max_batch_size=16))
    yield Model("matrix", echo, [numbers(-1, -1)], [numbers(-1, -1)], ModelConfig(max_batch_size=16))
    yield Model("scalar", echo, [numbers()], [numbers()], ModelConfig(max_batch_size=16))
    yield Model("string_scalar", echo, [Tensor((), bytes)], [Tensor((), bytes)])
    yield Model("strings", echo, [Tensor((-1,), bytes)], [Tensor((-1,), bytes)])
    unbatched = ModelConfig(batching=False)
    yield Model("unbatched", echo, [numbers(-1, -1)], [numbers(-1, -1)], unbatched)
    deep = numbers(*(-1,) * 15)
    yield Model("deep", echo, [deep], [deep])
    yield Model("deeper", echo, [numbers(*(-1,) * 16)], [numbers(*(-1,) * 16)], unbatched)
    for kind, function in (("batch", echo_wide_batch), ("list", echo_wide_list)):
        wide = [Tensor((-1,), dtype) for dtype in _WIDE]
        yield Model(f"wide_{kind}", function, wide, wide, ModelConfig(max_batch_size=_MANY))
    optional = [numbers(-1, name=name, optional=True) for name in ("a", "b", "c")]
    names = [Tensor((1,), bytes, "names")]
    yield Model("optional", name_what_came, optional, names, ModelConfig(max_batch_size=16))
    yield Model("optional_unbatched", add_what_came, optional, [numbers(1, name="sum")], unbatched)
    values = [numbers(-1, name="values")]
    both = [numbers(-1, name="first"), numbers(-1, name="second")]
    yield Model("two_outputs", two_outputs, values, both)
    yield Model("one_of_two_outputs", one_of_two_outputs, values, both)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.fixture(autouse=True)
def forget() -> None:
    batches.clear()
    asked_for.clear()


def _echo(server: Server, model: str, array: Array, transport: str = "grpc") -> Array:
    return ask(server, model, {"INPUT_1": array}, transport).outputs["OUTPUT_1"]


def _numbers(*shape: int) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("vector", (3, 0)),
        ("vector", (16, 1)),
        ("matrix", (2, 0, 5)),
        ("matrix", (2, 5, 0)),
        ("matrix", (0, 0, 3)),
        ("scalar", (3, 1)),
        ("unbatched", (0, 0)),
        ("unbatched", (0, 4)),
        ("deep", (2,) + (1,) * 13 + (3, 2)),
        ("deeper", (3,) + (1,) * 14 + (2,)),
    ],
)
def test_shapes_come_back_as_they_were(
    server: Server, model: str, shape: tuple[int, ...], transport: str
) -> None:
    array = _numbers(*shape)
    same = _echo(server, model, array, transport)
    assert same.shape == shape
    np.testing.assert_array_equal(same, array)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("model", "array"),
    [("scalar", _numbers(0, 1)), ("vector", _numbers(0, 0)), ("strings", np.empty((0, 0), object))],
)
def test_batches_of_nothing(server: Server, model: str, array: Array, transport: str) -> None:
    assert _echo(server, model, array, transport).shape == array.shape


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_server_counts_rows_of_nothing_as_one(server: Server, transport: str) -> None:
    # Its check of the size forgets the batch dimension when it is 0.
    with pytest.raises(InferenceServerException, match="Expected 12, got 0"):
        _echo(server, "vector", _numbers(0, 3), transport)
    with pytest.raises(InferenceServerException, match="expected 2 string elements"):
        _echo(server, "strings", np.empty((0, 2), object), transport)
    assert _echo(server, "vector", _numbers(1, 3), transport).shape == (1, 3)


def test_batches_of_nothing_merge_with_others(server: Server) -> None:
    shapes = [(2, 0), (0, 0), (3, 0), (0, 0)] * 4
    futures = [ask_later(server, "vector", {"INPUT_1": _numbers(*shape)}) for shape in shapes]
    assert [array.shape for array in pick(futures, "OUTPUT_1")] == shapes


def test_strings_as_scalars(server: Server) -> None:
    values = np.array([[b"a"], [b""], [b"c\0"]], object)
    assert _echo(server, "string_scalar", values).tolist() == values.tolist()


@pytest.mark.parametrize("kind", ["batch", "list"])
def test_a_full_batch_of_many_inputs_keeps_everything_apart(server: Server, kind: str) -> None:
    def inputs(number: int) -> dict[str, Array]:
        random = np.random.default_rng(number)
        values = random.integers(0, 100, (len(_WIDE), 1, 3))
        return {
            f"INPUT_{index}": array.astype(np.bytes_).astype(object)
            if dtype is bytes
            else array.astype(dtype)
            for index, (dtype, array) in enumerate(zip(_WIDE, values, strict=True), start=1)
        }

    model = f"wide_{kind}"
    with plugged(server, model, gate, inputs(0)):
        futures = [ask_later(server, model, inputs(number)) for number in range(_MANY)]
        wait_for_queue(server, model, _MANY)
    for number, future in enumerate(futures):
        outputs = future.result(20)
        for name, array in inputs(number).items():
            np.testing.assert_array_equal(outputs[name.replace("INPUT", "OUTPUT")], array)
    assert batches == [1, _MANY]


@pytest.mark.parametrize("kind", ["batch", "list"])
def test_requests_of_different_sizes_in_a_batch(server: Server, kind: str) -> None:
    def inputs(first: int, rows: int) -> dict[str, Array]:
        column = np.arange(first, first + rows).reshape(rows, 1)
        return {
            f"INPUT_{index}": column.astype(np.bytes_).astype(object)
            if dtype is bytes
            else column.astype(dtype)
            for index, dtype in enumerate(_WIDE, start=1)
        }

    model, rows = f"wide_{kind}", [1, 3, 2, 7, 1, 5]
    sent = [inputs(10 * index, count) for index, count in enumerate(rows)]
    with plugged(server, model, gate, inputs(0, 1)):
        futures = [ask_later(server, model, arrays) for arrays in sent]
        wait_for_queue(server, model, len(rows))
    for arrays, future in zip(sent, futures, strict=True):
        for name, array in future.result(20).items():
            np.testing.assert_array_equal(array, arrays[name.replace("OUTPUT", "INPUT")])
    assert batches == [1, len(rows) if kind == "list" else sum(rows)]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("names", ["a", "b", "a,c", "a,b,c"])
def test_optional_inputs_may_be_left_out(server: Server, names: str, transport: str) -> None:
    inputs = {name: _numbers(2, 3) for name in names.split(",")}
    came = ask(server, "optional", inputs, transport, outputs=["names"]).outputs["names"]
    assert [str(value, "ascii") if isinstance(value, bytes) else value for value in came.ravel()] == [
        names
    ] * 2


def test_requests_with_other_inputs_do_not_share_a_batch(server: Server) -> None:
    sent = ["a", "a", "b", "a,b", "a,b"]
    with plugged(server, "optional", gate, {"c": _numbers(1, 1)}):
        futures = [
            ask_later(server, "optional", {name: _numbers(1, 2) for name in names.split(",")})
            for names in sent
        ]
        wait_for_queue(server, "optional", len(sent))
    assert [array.item().decode() for array in pick(futures, "names")] == sent
    assert sum(batches) == 1 + len(sent)
    assert max(batches) <= 2


def test_a_batch_of_no_input_at_all_is_refused(server: Server) -> None:
    with pytest.raises(InferenceServerException, match="no batch size") as caught:
        ask(server, "optional", {})
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert ask(server, "optional_unbatched", {}).outputs["sum"].tolist() == [0.0]
    assert ask(server, "optional_unbatched", {"b": _numbers(3)}).outputs["sum"].tolist() == [3.0]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("names", [["first"], ["second"], ["second", "first"]])
def test_only_the_outputs_asked_for_are_sent(server: Server, names: list[str], transport: str) -> None:
    outputs = ask(server, "two_outputs", {"values": _numbers(1, 2)}, transport, outputs=names).outputs
    assert sorted(outputs) == sorted(names)
    expected = {"first": [[1.0, 2.0]], "second": [[2.0, 3.0]]}
    assert {name: array.tolist() for name, array in outputs.items()} == {
        name: expected[name] for name in names
    }
    assert [sorted(names or ()) for names in asked_for] == [sorted(names)]


@pytest.mark.parametrize("transport", ["binary", "grpc"])
def test_all_outputs_are_sent_if_none_is_named(server: Server, transport: str) -> None:
    outputs = ask(server, "two_outputs", {"values": _numbers(1, 2)}, transport).outputs
    assert sorted(outputs) == ["first", "second"]
    assert [sorted(names or ()) for names in asked_for] == [["first", "second"]]


@pytest.mark.parametrize("transport", ["binary", "grpc"])
def test_outputs_that_the_function_leaves_out_are_absent(server: Server, transport: str) -> None:
    outputs = ask(server, "one_of_two_outputs", {"values": _numbers(1, 2)}, transport).outputs
    assert {name: array.tolist() for name, array in outputs.items()} == {"second": [[0.0, 1.0]]}
