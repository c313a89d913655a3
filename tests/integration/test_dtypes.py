# SPDX-License-Identifier: Apache-2.0
"""Every datatype, there and back, through every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import TRANSPORTS, Array, ask, ask_later, inputs_for, pick
from tests.helpers.server import Model, Server, running

_INTEGERS: Final = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
_FLOATS: Final = ("float16", "float32", "float64", "bfloat16")
_NO_JSON: Final = {"float16": "FP16", "bfloat16": "BF16"}
_DTYPES: Final[Mapping[str, Any]] = {
    name: ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name).type
    for name in ("bool", *_INTEGERS, *_FLOATS)
}
_BFLOAT16_LIMITS: Final = (float.fromhex("0x1.FEp127"), 2.0**-126)
_LONG: Final = 10 * 1000 * 1000


def _samples(name: str) -> Array:
    """Two rows with the values at the edges."""
    if name == "bool":
        return np.array([[True, False, True], [False, False, True]])
    dtype = _DTYPES[name]
    if name in _INTEGERS:
        limits = np.iinfo(dtype)
        return np.array([[limits.min, 0, limits.max], [1, 2, limits.max - 1]], dtype)
    largest, smallest = (
        _BFLOAT16_LIMITS if name == "bfloat16" else (np.finfo(dtype).max, np.finfo(dtype).tiny)
    )
    return np.array([[-largest, -0.0, largest], [smallest, 0.1, np.inf]], dtype)


@batch
def echo(values: Array) -> list[Array]:
    return [values]


class Copying:
    """An echo that is given requests one by one, and notes the dtypes that it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[np.dtype[Any], bool, bool]] = []

    def __call__(self, requests: list[Request]) -> list[dict[str, Array]]:
        self.seen = [
            (array.dtype, array.flags.writeable, array.flags.c_contiguous)
            for request in requests
            for array in request.values()
        ]
        return [{"same": request["values"].copy()} for request in requests]


copying = Copying()


@batch
def as_unicode(values: Array) -> dict[str, Array]:
    return {"same": np.char.decode(values.astype(np.bytes_), "utf-8")}


@batch
def as_text_objects(values: Array) -> dict[str, Array]:
    decoded = [value.decode() for value in values.ravel().tolist()]
    return {"same": np.array(decoded, dtype=object).reshape(values.shape)}


@batch
def as_fixed_width(values: Array) -> dict[str, Array]:
    return {"same": values.astype(np.bytes_)}


@batch
def measure(values: Array) -> dict[str, Array]:
    return {"same": np.vectorize(len, otypes=[np.int64])(values)}


def _models() -> Iterator[Model]:
    config = ModelConfig(max_batch_size=64)
    for name, dtype in {**_DTYPES, "bytes": bytes}.items():
        tensors = [Tensor((-1,), dtype, "values")], [Tensor((-1,), dtype, "same")]
        yield Model(f"echo_{name}", echo, *tensors, config)
        yield Model(f"copy_{name}", copying, *tensors, config)
    strings = [Tensor((-1,), bytes, "values")]
    for function in (as_unicode, as_text_objects, as_fixed_width):
        yield Model(function.__name__, function, strings, [Tensor((-1,), bytes, "same")], config)
    yield Model("measure", measure, strings, [Tensor((-1,), np.int64, "same")], config)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


def _echo(server: Server, model: str, values: Array, transport: str) -> Array:
    return ask(server, model, {"values": values}, transport, outputs=["same"]).outputs["same"]


def _strings(*values: bytes) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(1, -1)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["echo", "copy"])
@pytest.mark.parametrize("name", _DTYPES)
def test_numbers_come_back_as_they_were(server: Server, name: str, kind: str, transport: str) -> None:
    if transport == "json" and name in _NO_JSON:
        pytest.skip("the server takes no such values as JSON")
    values = _samples(name)
    same = _echo(server, f"{kind}_{name}", values, transport)
    assert same.dtype == values.dtype
    assert same.tobytes() == values.tobytes()
    if kind == "copy":
        assert copying.seen == [(np.dtype(_DTYPES[name]), True, True)]


@pytest.mark.parametrize("transport", ["binary", "grpc"])
@pytest.mark.parametrize("name", _FLOATS)
def test_not_a_number_comes_back_bit_by_bit(server: Server, name: str, transport: str) -> None:
    values = np.array([[np.nan, -np.nan, np.inf, -np.inf]], _DTYPES[name])
    assert _echo(server, f"echo_{name}", values, transport).tobytes() == values.tobytes()


def test_not_a_number_has_a_name_in_json(server: Server) -> None:
    values = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(_echo(server, "echo_float32", values, "json"), values)


@pytest.mark.parametrize("name", _NO_JSON)
def test_halves_are_refused_as_json(server: Server, name: str) -> None:
    datatype = _NO_JSON[name]
    tensor = {"name": "values", "shape": [1, 2], "datatype": datatype, "data": [1, 2]}
    reply = server.infer(f"echo_{name}", {"inputs": [tensor]})
    assert (reply.status, reply.error) == (
        400,
        f"receiving {datatype} data via JSON is not supported. "
        "Please use the binary data format for input values",
    )


@pytest.mark.parametrize("name", _NO_JSON)
def test_halves_are_refused_as_json_answers(server: Server, name: str) -> None:
    given = inputs_for("binary", {"values": _samples(name)})
    wanted = [tritonclient.http.InferRequestedOutput("same", binary_data=False)]
    with pytest.raises(InferenceServerException, match="via JSON is not supported") as caught:
        server.http_client.infer(f"echo_{name}", given, outputs=wanted)
    assert caught.value.status() == "400"
    assert _echo(server, f"echo_{name}", _samples(name), "binary").shape == (2, 3)


@pytest.mark.smoke
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["echo", "copy"])
def test_strings_come_back_as_they_were(server: Server, kind: str, transport: str) -> None:
    values = _strings(b"", b"nul\0 in the middle", b"\0", b"nuls at the end\0\0", "Zażółć 🐍".encode(), b"")
    same = _echo(server, f"{kind}_bytes", values, transport)
    # tritonclient makes str of the strings of JSON.
    assert [s.encode() if isinstance(s, str) else s for s in same[0]] == values[0].tolist()
    if kind == "copy":
        assert copying.seen == [(np.dtype(object), True, True)]


@pytest.mark.parametrize("transport", ["binary", "grpc"])
def test_strings_may_hold_any_bytes(server: Server, transport: str) -> None:
    values = _strings(bytes(range(256)), b"\xff\xfe\x80")
    assert _echo(server, "echo_bytes", values, transport).tolist() == values.tolist()


def test_strings_of_json_may_be_escaped(server: Server) -> None:
    data = ["\0", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), '"\\/\b\f\n\r\t', "é"]
    document = {"inputs": [{"name": "values", "shape": [1, 4], "datatype": "BYTES", "data": data}]}
    for ascii_only in (True, False):
        body = json.dumps(document, ensure_ascii=ascii_only)
        reply = server.request("POST", "/v2/models/copy_bytes/infer", body)
        assert reply.json["outputs"][0]["data"] == data


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("model", ["as_unicode", "as_text_objects", "as_fixed_width"])
def test_functions_may_return_text(server: Server, model: str, transport: str) -> None:
    texts = ["", "plain", "Zażółć gęślą jaźń", "🐍" * 100]
    same = _echo(server, model, _strings(*[text.encode() for text in texts]), transport)
    assert [s if isinstance(s, str) else s.decode() for s in same[0]] == texts


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["echo", "copy"])
def test_strings_of_ten_megabytes(server: Server, kind: str, transport: str) -> None:
    values = _strings(b"a" * _LONG, b"", b"z" * _LONG)
    same = _echo(server, f"{kind}_bytes", values, transport)
    assert [len(value) for value in same[0]] == [_LONG, 0, _LONG]
    assert [value[-1:] in (b"a", b"z", "a", "z") for value in same[0]] == [True, False, True]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["echo", "copy"])
def test_ten_thousand_strings(server: Server, kind: str, transport: str) -> None:
    values = _strings(*[str(number).encode() * (number % 7) for number in range(10_000)]).reshape(10, 1000)
    same = _echo(server, f"{kind}_bytes", values, transport)
    assert same.shape == values.shape
    assert [s.encode() if isinstance(s, str) else s for s in same.ravel()] == values.ravel().tolist()


@pytest.mark.parametrize("kind", ["echo", "copy"])
def test_strings_of_many_requests_do_not_mix(server: Server, kind: str) -> None:
    sent = [
        np.array([[f"{request}.{row}.{column}".encode() * (row + column) for column in range(5)]
                  for row in range(1 + request % 3)], object)
        for request in range(64)
    ]  # fmt: skip
    futures = [ask_later(server, f"{kind}_bytes", {"values": values}) for values in sent]
    for values, same in zip(sent, pick(futures, "same"), strict=True):
        assert same.tolist() == values.tolist()


def test_strings_in_and_numbers_out(server: Server) -> None:
    values = _strings(b"", b"a", b"nul\0")
    assert _echo(server, "measure", values, "grpc").tolist() == [[0, 1, 4]]
