# SPDX-License-Identifier: Apache-2.0
"""Arrays of every make that functions return: small ones are copied, large ones may stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request, Response
from tests.helpers.clients import TRANSPORTS, Array, ask, ask_later, pick
from tests.helpers.gate import Gate, plugged, wait_for_queue
from tests.helpers.server import Model, Server, running

# Arrays of 64 KiB and more that lie in the block of their batch are not copied.
_SIDES: Final = (3, 200)
_REQUESTS: Final = 8

gate = Gate()
kept: list[Array] = []


def _reversed(array: Array) -> Array:
    return array[..., ::-1]


def _transposed(array: Array) -> Array:
    return np.swapaxes(array, 1, 2)


def _fortran(array: Array) -> Array:
    return np.asfortranarray(array)


def _every_other(array: Array) -> Array:
    return array[:, ::2]


def _first_columns(array: Array) -> Array:
    return array[:, :, :2]


def _one_row_for_all(array: Array) -> Array:
    return np.broadcast_to(array[:1, :1], array.shape)


def _big_endian(array: Array) -> Array:
    return array.astype(">f4")


def _wider(array: Array) -> Array:
    return array.astype(np.float64)


def _other_shape(array: Array) -> Array:
    return array.reshape(len(array), 1, -1)


def _in_place(array: Array) -> Array:
    array += 1
    return array


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _unaligned(array: Array) -> Array:
    memory = np.empty(array.nbytes + 1, np.uint8)[1:]
    copy: Array = memory.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _of_a_subclass(array: Array) -> Array:
    return np.ma.masked_array(array, mask=False)


def _record_field(array: Array) -> Array:
    records = np.zeros(array.shape, [("other", np.int64), ("wanted", np.float32)])
    records["wanted"] = array
    field: Array = records["wanted"]
    return field


_TRANSFORMS: Final = (
    _reversed,
    _transposed,
    _fortran,
    _every_other,
    _first_columns,
    _one_row_for_all,
    _big_endian,
    _wider,
    _other_shape,
    _in_place,
    _read_only,
    _unaligned,
    _of_a_subclass,
    _record_field,
)


class Choosing:
    """A function that does with its input what the test says."""

    def __init__(self) -> None:
        self.transform: Any = None

    def one_by_one(self, requests: list[Request]) -> list[dict[str, Array]]:
        gate.pass_through()
        return [{"result": self.transform(request["values"])} for request in requests]

    @batch
    def at_once(self, values: Array) -> dict[str, Array]:
        gate.pass_through()
        return {"result": self.transform(values)}

    def all_requests(self, requests: list[Request]) -> Any:
        gate.pass_through()
        return self.transform(requests)


choosing = Choosing()


@batch
def both_from_one(values: Array) -> list[Array]:
    return [values, values]


@batch
def halves(values: Array) -> list[Array]:
    middle = values.shape[1] // 2
    return [values[:, :middle], values[:, middle:]]


@batch
def keep(values: Array) -> dict[str, Array]:
    kept.append(values)
    return {"result": values}


def _models() -> Iterator[Model]:
    values = [Tensor((-1, -1), np.float32, "values")]
    results = [Tensor((-1, -1), np.float32, "result")]
    config = ModelConfig(max_batch_size=16)
    yield Model("list", choosing.one_by_one, values, results, config)
    yield Model("batch", choosing.at_once, values, results, config)
    yield Model("all", choosing.all_requests, values, results, config)
    yield Model("keep", keep, values, results, config)
    two = [Tensor((-1, -1), np.float32, "first"), Tensor((-1, -1), np.float32, "second")]
    yield Model("both_from_one", both_from_one, values, two, config)
    yield Model("halves", halves, values, two, config)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


def _values(side: int, number: int = 0, rows: int = 1) -> Array:
    values = np.random.default_rng(number).random((rows, side, side), np.float32)
    values[:, 0, 0] = number
    return values


def _number(request: Request) -> int:
    """Which of the requests sent together it is; the server batches them in any order."""
    return int(request["values"][0, 0, 0])


def _ask_together(server: Server, model: str, sent: list[Array]) -> list[Array]:
    """Answers to requests that are certainly served as one batch."""
    with plugged(server, model, gate, {"values": sent[0]}):
        futures = [ask_later(server, model, {"values": values}) for values in sent]
        wait_for_queue(server, model, len(sent))
    return pick(futures, "result")


@pytest.mark.parametrize("side", _SIDES)
@pytest.mark.parametrize("transform", _TRANSFORMS)
@pytest.mark.parametrize("kind", ["list", "batch"])
def test_arrays_of_every_make(server: Server, kind: str, transform: Any, side: int) -> None:
    choosing.transform = transform
    values = _values(side, rows=3)
    result = ask(server, kind, {"values": values}).outputs["result"]
    np.testing.assert_array_equal(result, transform(values.copy()).astype(np.float32))


@pytest.mark.parametrize("side", _SIDES)
@pytest.mark.parametrize("transform", [_reversed, _fortran, _other_shape, _in_place, _first_columns])
def test_arrays_of_every_make_in_a_batch(server: Server, transform: Any, side: int) -> None:
    choosing.transform = transform
    sent = [_values(side, number, rows=1 + number % 2) for number in range(_REQUESTS)]
    for model in ("list", "batch"):
        for values, result in zip(sent, _ask_together(server, model, sent), strict=True):
            np.testing.assert_array_equal(result, transform(values.copy()))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("side", _SIDES)
def test_two_outputs_out_of_one_input(server: Server, side: int, transport: str) -> None:
    values = _values(side, rows=2)
    names = ["first", "second"]
    outputs = ask(server, "both_from_one", {"values": values}, transport, outputs=names).outputs
    np.testing.assert_array_equal(outputs["first"], values)
    np.testing.assert_array_equal(outputs["second"], values)
    outputs = ask(server, "halves", {"values": values}, transport, outputs=names).outputs
    np.testing.assert_array_equal(np.concatenate([outputs["first"], outputs["second"]], axis=1), values)


@pytest.mark.parametrize("side", _SIDES)
def test_one_array_for_every_request(server: Server, side: int) -> None:
    shared = _values(side, 99)
    choosing.transform = lambda requests: [{"result": shared}] * len(requests)
    for result in _ask_together(server, "all", [_values(side, number) for number in range(_REQUESTS)]):
        np.testing.assert_array_equal(result, shared)


@pytest.mark.parametrize("side", _SIDES)
def test_parts_of_one_array_for_the_requests(server: Server, side: int) -> None:
    whole = np.arange(_REQUESTS * side * side, dtype=np.float32).reshape(_REQUESTS, side, side)
    choosing.transform = lambda requests: [{"result": whole[_number(request) :][:1]} for request in requests]
    results = _ask_together(server, "all", [_values(side, number) for number in range(_REQUESTS)])
    np.testing.assert_array_equal(np.concatenate(results), whole)


@pytest.mark.parametrize("side", _SIDES)
def test_inputs_of_other_requests(server: Server, side: int) -> None:
    def swap(requests: list[Request]) -> list[dict[str, Array]]:
        inputs = {_number(request): request["values"] for request in requests}
        return [{"result": inputs[len(requests) - 1 - _number(request)]} for request in requests]

    choosing.transform = swap
    sent = [_values(side, number) for number in range(_REQUESTS)]
    for result, values in zip(_ask_together(server, "all", sent), reversed(sent), strict=True):
        np.testing.assert_array_equal(result, values)


@pytest.mark.parametrize("side", _SIDES)
def test_outputs_of_different_shapes_in_a_batch(server: Server, side: int) -> None:
    choosing.transform = lambda requests: [
        {"result": request["values"][:, : 1 + _number(request)]} for request in requests
    ]
    sent = [_values(side, number) for number in range(3)]
    for index, result in enumerate(_ask_together(server, "all", sent)):
        np.testing.assert_array_equal(result, sent[index][:, : 1 + index])


@pytest.mark.parametrize("make", [Response, Request])
def test_objects_like_those_that_came(server: Server, make: Any) -> None:
    choosing.transform = lambda requests: [make({"result": request["values"]}) for request in requests]
    values = _values(3)
    np.testing.assert_array_equal(ask(server, "all", {"values": values}).outputs["result"], values)


def test_requests_themselves_as_responses(server: Server) -> None:
    def rename(requests: list[Request]) -> list[Request]:
        for request in requests:
            request["result"] = request["values"]
            del request["values"]
        return requests

    choosing.transform = rename
    values = _values(200)
    np.testing.assert_array_equal(ask(server, "all", {"values": values}).outputs["result"], values)


@pytest.mark.parametrize("side", _SIDES)
def test_inputs_that_are_kept_stay_as_they_were(server: Server, side: int) -> None:
    sent = [_values(side, number) for number in range(20)]
    try:
        for values in sent:
            ask(server, "keep", {"values": values})
        for values, still in zip(sent, kept, strict=True):
            np.testing.assert_array_equal(still, values)
    finally:
        kept.clear()


def test_changed_inputs_do_not_reach_other_requests(server: Server) -> None:
    choosing.transform = _in_place
    values = _values(200)
    for _ in range(3):
        np.testing.assert_array_equal(ask(server, "batch", {"values": values}).outputs["result"], values + 1)
