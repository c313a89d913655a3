# SPDX-License-Identifier: Apache-2.0
"""Requests that are wrong: an error for the one who sent them, and nothing for anybody else.

Not among them is a shape that overflows 64 bits in JSON: it ends Triton 2.51 (see SECURITY.md).
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array, ask, ask_later
from tests.helpers.gate import Gate, plugged, wait_for_queue
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Reply, Server, running

_HUGE: Final = 2**62
_HEAD: Final = b"POST /v2/models/vector/infer HTTP/1.1\r\nHost: test\r\n"

gate = Gate()
batches: list[int] = []


@batch
def echo(**inputs: Array) -> list[Array]:
    batches.append(len(next(iter(inputs.values()))))
    gate.pass_through()
    return list(inputs.values())


def picky(requests: list[Request]) -> list[dict[str, Array]]:
    """Answer numbers; for a negative one give something that is no answer."""
    gate.pass_through()
    return [{"y": request["x"].astype("M8[s]" if request["x"][0, 0] < 0 else "f4")} for request in requests]


def _models() -> Iterator[Model]:
    def floats(name: str, *shape: int) -> Tensor:
        return Tensor(shape, np.float32, name)

    config = ModelConfig(max_batch_size=4)
    yield Model("vector", echo, [floats("x", -1)], [floats("y", -1)], config)
    yield Model("fixed", echo, [floats("x", 2, 3)], [floats("y", 2, 3)], config)
    yield Model("matrix", echo, [floats("x", -1, -1)], [floats("y", -1, -1)], config)
    yield Model("two", echo, [floats("x", -1), floats("z", -1)], [floats("y", -1), floats("w", -1)], config)
    yield Model("strings", echo, [Tensor((-1,), bytes, "x")], [Tensor((-1,), bytes, "y")], config)
    yield Model("picky", picky, [floats("x", -1)], [floats("y", -1)], ModelConfig(max_batch_size=16))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.fixture(autouse=True)
def serves_the_next_request(server: Server) -> Iterator[None]:
    """Whatever a test did, every model answers afterwards."""
    yield
    row = np.array([[1, 2]], np.float32)
    assert ask(server, "vector", {"x": row}, "binary").outputs["y"].tolist() == [[1, 2]]
    assert ask(server, "matrix", {"x": row[:, None]}).outputs["y"].tolist() == [[[1, 2]]]
    assert ask(server, "two", {"x": row, "z": row}).outputs["w"].tolist() == [[1, 2]]
    strings = np.array([[b"a", b""]], object)
    assert ask(server, "strings", {"x": strings}).outputs["y"].tolist() == [[b"a", b""]]


class _Absent:
    """In place of a field: leave it out."""


def _tensor(**fields: Any) -> dict[str, Any]:
    """An input that is right, but for what the test says."""
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **fields}
    return {name: value for name, value in tensor.items() if value is not _Absent}


_JSON_ERRORS: Final[list[tuple[str, list[Any], int, str]]] = [
    ("vector", [_tensor(datatype="INT32")], 400, "data-type is 'INT32', but model 'vector' expects 'FP32'"),
    ("vector", [_tensor(datatype="FP31")], 400, "invalid datatype for input x"),
    ("vector", [_tensor(shape=[2])], 400, "Expected [-1,-1], got [2]"),
    ("vector", [_tensor(shape=[1, 1, 2])], 400, "Expected [-1,-1], got [1,1,2]"),
    ("fixed", [_tensor(shape=[1, 2, 2], data=[1, 2, 3, 4])], 400, "Expected [-1,2,3], got [1,2,2]"),
    ("vector", [_tensor(name="other")], 400, "unexpected inference input 'other'"),
    ("two", [_tensor()], 400, "missing required input(s) ['z']"),
    ("vector", [], 400, "expected 1 inputs but got 0"),
    ("vector", [_tensor(), _tensor(name="z")], 400, "expected 1 inputs but got 2"),
    ("vector", [_tensor(), _tensor()], 400, "'x' already exists"),
    ("vector", [_tensor(shape=[5, 1], data=[1] * 5)], 400, "batch-size must be <= 4"),
    ("two", [_tensor(), _tensor(name="z", shape=[2, 1])], 400, "batch size does not match other inputs"),
    ("vector", [_tensor(data=[1])], 500, "Shape does not match true shape of 'data' field"),
    ("vector", [_tensor(data=[1, 2, 3])], 500, "Shape does not match true shape of 'data' field"),
    ("vector", [_tensor(shape=[2, 2], data=[[1, 2], [3]])], 500, "Shape does not match true shape"),
    ("vector", [_tensor(shape=[1, -2])], 500, "non-unsigned-integer as unsigned-integer"),
    ("vector", [_tensor(shape=[-1, 2])], 500, "non-unsigned-integer as unsigned-integer"),
    ("vector", [_tensor(shape=[1, 2.5])], 500, "non-unsigned-integer as unsigned-integer"),
    ("vector", [_tensor(data=["a", "b"])], 500, "non-number"),
    ("vector", [_tensor(data=[None, 1])], 500, "non-number"),
    ("vector", [_tensor(data={"a": 1})], 500, "non-array as array"),
    ("strings", [_tensor(datatype="BYTES")], 500, "non-string as string"),
    ("vector", [_tensor(name=_Absent)], 500, "'name'"),
    ("vector", [_tensor(shape=_Absent)], 500, "'shape'"),
    ("vector", [_tensor(datatype=_Absent)], 500, "'datatype'"),
    ("vector", [_tensor(data=_Absent)], 400, "no field is set"),
    ("unknown", [_tensor()], 404, "unknown model: 'unknown' is not found"),
    ("vector/versions/9", [_tensor()], 404, "unknown model: 'vector' version 9 is not found"),
]


@pytest.mark.parametrize(("model", "tensors", "status", "words"), _JSON_ERRORS)
def test_json(server: Server, model: str, tensors: list[Any], status: int, words: str) -> None:
    reply = server.infer(model, {"inputs": tensors})
    assert reply.status == status
    assert words in reply.error


def test_json_with_an_unknown_output(server: Server) -> None:
    reply = server.infer("vector", {"inputs": [_tensor()], "outputs": [{"name": "other"}]})
    assert (reply.status, reply.error) == (400, "unexpected inference output 'other' for model 'vector'")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b" ",
        b"\0",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"inputs": {}}',
        b"[" * 100_000,
        json.dumps({"inputs": [_tensor()]}).encode()[:-1],
        json.dumps({"inputs": [_tensor()]}).encode() + b"x",
    ],
)
def test_what_is_not_json_or_not_a_request(server: Server, body: bytes) -> None:
    reply = server.request("POST", "/v2/models/vector/infer", body)
    assert reply.status == 500
    assert "parse" in reply.error


def _post_binary(
    server: Server,
    tensor: Mapping[str, Any],
    data: bytes,
    model: str = "vector",
    head_size: str | None = None,
) -> Reply:
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)) if head_size is None else head_size}
    return server.request("POST", f"/v2/models/{model}/infer", head + data, headers)


def _binary_tensor(size: Any, **fields: Any) -> dict[str, Any]:
    return _tensor(data=_Absent, parameters={"binary_data_size": size}, **fields)


@pytest.mark.parametrize(
    ("said", "sent", "status", "words"),
    [
        (4, 4, 400, "Expected 8, got 4"),
        (12, 12, 400, "Expected 8, got 12"),
        (4, 8, 400, "unexpected additional input data"),
        (8, 12, 400, "unexpected additional input data"),
        (8, 4, 400, "expecting 4 additional bytes"),
        (_HUGE, 8, 400, "additional bytes"),
        (-8, 8, 500, "binary_data_size"),
        ("8", 8, 500, "binary_data_size"),
    ],
)
def test_binary_of_another_length(server: Server, said: Any, sent: int, status: int, words: str) -> None:
    reply = _post_binary(server, _binary_tensor(said), bytes(sent))
    assert reply.status == status
    assert words in reply.error


@pytest.mark.parametrize(
    ("head_size", "status"),
    [("100000", 400), ("-1", 400), ("3", 500), ("many", 400), ("99999999999999999999", 400)],
)
def test_binary_with_another_length_of_its_head(server: Server, head_size: str, status: int) -> None:
    assert _post_binary(server, _binary_tensor(8), bytes(8), head_size=head_size).status == status


@pytest.mark.parametrize("shape", [[0, 2, 3], [1, 0, _HUGE], [1, _HUGE, 0], [4, _HUGE, 1], [2, 2**30, 2**31]])
def test_binary_of_a_shape_without_data(server: Server, shape: list[int]) -> None:
    reply = _post_binary(server, _binary_tensor(0, shape=shape), b"", "matrix")
    assert reply.status == 400
    assert "input" in reply.error


def _strings(*strings: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<I", length) + string for length, string in strings)


_STRING_LIES: Final = {
    "a length that is too long": _strings((1, b"a"), (200, b"bc")),
    "a length that is far too long": _strings((0, b""), (2**32 - 1, b"")),
    "a first length that is too long": _strings((7, b"a"), (2, b"bc")),
    "a length that is too short": _strings((1, b"a"), (1, b"bc")),
    "bytes at the end": _strings((1, b"a"), (2, b"bc")) + b"x",
    "a string too many": _strings((1, b"a"), (2, b"bc"), (0, b"")),
    "a string missing": _strings((1, b"a")),
    "half a length": _strings((1, b"a")) + b"\1\0",
    "nothing at all": b"",
}


@pytest.mark.parametrize("lie", _STRING_LIES)
def test_strings_that_lie_over_http(server: Server, lie: str) -> None:
    data = _STRING_LIES[lie]
    reply = _post_binary(server, _binary_tensor(len(data), datatype="BYTES"), data, "strings")
    assert reply.status == 400
    assert "x" in reply.error


def _infer(
    server: Server,
    model: str,
    tensors: Sequence[tuple[str, list[int], str]],
    raw: Sequence[bytes],
    outputs: Sequence[str] = (),
    version: str = "",
) -> Any:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, shape, datatype in tensors:
        request.inputs.add(name=name, shape=shape, datatype=datatype)
    for name in outputs:
        request.outputs.add(name=name)
    request.raw_input_contents.extend(raw)
    with grpc.insecure_channel(f"{LOCAL}:{server.grpc_port}") as channel:
        return service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=TIMEOUT_S)


def _refusal(*arguments: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        _infer(*arguments, **options)
    call: Any = caught.value
    return call.code().name, call.details()


@pytest.mark.parametrize(
    ("model", "tensors", "sizes", "words"),
    [
        ("vector", [("x", [1, 2], "INT32")], [8], "data-type is 'INT32'"),
        ("vector", [("x", [1, 2], "FP31")], [8], "data-type is '<invalid>'"),
        ("vector", [("x", [1, 2], "")], [8], "data-type is '<invalid>'"),
        ("vector", [("x", [2], "FP32")], [8], "Expected [-1,-1], got [2]"),
        ("vector", [("x", [], "FP32")], [8], "has no shape"),
        ("fixed", [("x", [1, 2, 2], "FP32")], [16], "Expected [-1,2,3], got [1,2,2]"),
        ("vector", [("other", [1, 2], "FP32")], [8], "unexpected inference input 'other'"),
        ("two", [("x", [1, 2], "FP32")], [8], "missing required input(s) ['z']"),
        ("vector", [], [], "expected 1 inputs but got 0"),
        ("vector", [("x", [1, 2], "FP32"), ("z", [1, 2], "FP32")], [8, 8], "expected 1 inputs but got 2"),
        ("vector", [("x", [1, 2], "FP32")] * 2, [8, 8], "'x' already exists"),
        ("vector", [("x", [5, 1], "FP32")], [20], "batch-size must be <= 4"),
        ("two", [("x", [1, 2], "FP32"), ("z", [2, 1], "FP32")], [8, 8], "does not match other inputs"),
        ("vector", [("x", [1, 2], "FP32")], [4], "Expected 8, got 4"),
        ("vector", [("x", [1, 2], "FP32")], [12], "Expected 8, got 12"),
        ("vector", [("x", [1, 2], "FP32")], [], "unable to find data for input tensor 'x'"),
        ("vector", [("x", [1, -2], "FP32")], [8], "input 'x'"),
        ("vector", [("x", [1, -1], "FP32")], [8], "input 'x'"),
        ("vector", [("x", [-1, 2], "FP32")], [8], "input 'x'"),
        ("vector", [("x", [1, _HUGE], "FP32")], [8], "Expected 0, got 8"),
        # The server's checks let these through: sizes overflow, or one row too many is counted.
        ("vector", [("x", [1, _HUGE], "FP32")], [0], "no tensor can have"),
        ("vector", [("x", [4, _HUGE], "FP32")], [0], "no tensor can have"),
        ("vector", [("x", [4, 2**60], "FP32")], [0], "no tensor can have"),
        ("matrix", [("x", [1, 0, _HUGE], "FP32")], [0], "no tensor can have"),
        ("strings", [("x", [4, _HUGE], "BYTES")], [0], "no tensor can have"),
        ("vector", [("x", [0, 2], "FP32")], [8], "has 8 bytes where its shape needs 0"),
    ],
)
def test_grpc(
    server: Server, model: str, tensors: list[tuple[str, list[int], str]], sizes: list[int], words: str
) -> None:
    code, details = _refusal(server, model, tensors, [bytes(size) for size in sizes])
    assert code == "INVALID_ARGUMENT"
    assert words in details


def test_grpc_with_unknown_names(server: Server) -> None:
    tensors, raw = [("x", [1, 2], "FP32")], [bytes(8)]
    assert _refusal(server, "unknown", tensors, raw)[0] == "NOT_FOUND"
    assert _refusal(server, "vector", tensors, raw, version="9")[0] == "NOT_FOUND"
    assert _refusal(server, "vector", tensors, raw, version="x")[0] == "INVALID_ARGUMENT"
    code, details = _refusal(server, "vector", tensors, raw, outputs=["other"])
    assert (code, details) == ("INVALID_ARGUMENT", "unexpected inference output 'other' for model 'vector'")


@pytest.mark.parametrize("lie", _STRING_LIES)
def test_strings_that_lie_over_grpc(server: Server, lie: str) -> None:
    code, details = _refusal(server, "strings", [("x", [1, 2], "BYTES")], [_STRING_LIES[lie]])
    assert code == "INVALID_ARGUMENT"
    assert "x" in details


def test_strings_that_lie_do_not_harm_their_batch(server: Server) -> None:
    # The server only notices that strings are missing, so this one is merged with the others.
    lie = _STRING_LIES["a length that is too long"]
    batches.clear()
    sent = [np.array([[f"{number}".encode(), b"nul\0"]], object) for number in range(3)]
    with plugged(server, "strings", gate, {"x": sent[0]}):
        futures = [ask_later(server, "strings", {"x": values}) for values in sent]
        wait_for_queue(server, "strings", 3)
        request = service_pb2.ModelInferRequest(model_name="strings", raw_input_contents=[lie])
        request.inputs.add(name="x", shape=[1, 2], datatype="BYTES")
        channel = grpc.insecure_channel(f"{LOCAL}:{server.grpc_port}")
        bad = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(request, timeout=TIMEOUT_S)
        wait_for_queue(server, "strings", 4)
    for values, future in zip(sent, futures, strict=True):
        assert future.result(TIMEOUT_S)["y"].tolist() == values.tolist()
    assert bad.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "end within element 1 of 2" in bad.details()
    channel.close()
    assert batches == [1, 3]


def test_a_wrong_response_does_not_harm_its_batch(server: Server) -> None:
    numbers = [1, -2, 3, -4, 5]
    with plugged(server, "picky", gate, {"x": np.zeros((1, 1), np.float32)}):
        futures = [ask_later(server, "picky", {"x": np.full((1, 1), n, np.float32)}) for n in numbers]
        wait_for_queue(server, "picky", len(numbers))
    for number, future in zip(numbers, futures, strict=True):
        if number > 0:
            assert future.result(TIMEOUT_S)["y"].item() == number
        else:
            assert 'model "picky", output "y": got dtype datetime64' in str(future.exception(TIMEOUT_S))


def _exchange(server: Server, data: bytes) -> bytes:
    """What comes back until the server hangs up, which it does once it has read the end."""
    received = b""
    connection = socket.create_connection((LOCAL, server.http_port), TIMEOUT_S)
    with connection, contextlib.suppress(ConnectionError):  # it has hung up before
        connection.sendall(data)
        with contextlib.suppress(OSError):  # which is another error here
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(1 << 16):
            received += chunk
    return received


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\2\3\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"POST\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        _HEAD + b"Content-Length: -5\r\n\r\n{}",
        _HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{}",
        _HEAD + b"Content-Length: 5000\r\n\r\n{}",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        _HEAD,
    ],
)
def test_what_is_not_http(server: Server, data: bytes) -> None:
    assert b"200 OK" not in _exchange(server, data)


def test_http_in_other_forms(server: Server) -> None:
    body = json.dumps({"inputs": [_tensor()]}).encode()
    length = b"Content-Length: %d\r\n" % len(body)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    for request, answers in (
        (_HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks, 1),
        (_HEAD + b"Expect: 100-continue\r\nConnection: close\r\n" + length + b"\r\n" + body, 1),
        ((_HEAD + length + b"\r\n" + body) * 3, 3),
    ):
        assert _exchange(server, request).count(b'"data":[1.0,2.0]') == answers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_method(server: Server, method: str) -> None:
    assert server.request(method, "/v2/models/vector/infer", b"{}").status == 405


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/vector/", "/v2/models/vector/infer/"])
def test_wrong_path(server: Server, path: str) -> None:
    assert server.post(path, {"inputs": [_tensor()]}).status == 404


def test_unknown_encoding(server: Server) -> None:
    reply = server.infer("vector", {"inputs": [_tensor()]}, {"Content-Encoding": "br"})
    assert reply.status == 501
