# SPDX-License-Identifier: Apache-2.0
"""Requests over HTTP that are wrong: an error for the one who sent them, and nothing for anybody else.

Not among them is a shape that overflows 64 bits in JSON: it ends Triton 2.51 (see SECURITY.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from tests.helpers.server import Reply, Server, running
from tests.helpers.strict_models import HUGE, STRING_LIES, Absent, check_serves, models, tensor_of


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*models()) as server:
        yield server


@pytest.fixture(autouse=True)
def serves_the_next_request(server: Server) -> Iterator[None]:
    """Whatever a test did, every model answers afterwards."""
    yield
    check_serves(server)


_JSON_ERRORS: Final[list[tuple[str, list[Any], int, str]]] = [
    ("vector", [tensor_of(datatype="INT32")], 400, "data-type is 'INT32', but model 'vector' expects 'FP32'"),
    ("vector", [tensor_of(datatype="FP31")], 400, "invalid datatype for input x"),
    ("vector", [tensor_of(shape=[2])], 400, "Expected [-1,-1], got [2]"),
    ("vector", [tensor_of(shape=[1, 1, 2])], 400, "Expected [-1,-1], got [1,1,2]"),
    ("fixed", [tensor_of(shape=[1, 2, 2], data=[1, 2, 3, 4])], 400, "Expected [-1,2,3], got [1,2,2]"),
    ("vector", [tensor_of(name="other")], 400, "unexpected inference input 'other'"),
    ("two", [tensor_of()], 400, "missing required input(s) ['z']"),
    ("vector", [], 400, "expected 1 inputs but got 0"),
    ("vector", [tensor_of(), tensor_of(name="z")], 400, "expected 1 inputs but got 2"),
    ("vector", [tensor_of(), tensor_of()], 400, "'x' already exists"),
    ("vector", [tensor_of(shape=[5, 1], data=[1] * 5)], 400, "batch-size must be <= 4"),
    ("two", [tensor_of(), tensor_of(name="z", shape=[2, 1])], 400, "batch size does not match other inputs"),
    ("vector", [tensor_of(data=[1])], 500, "Shape does not match true shape of 'data' field"),
    ("vector", [tensor_of(data=[1, 2, 3])], 500, "Shape does not match true shape of 'data' field"),
    ("vector", [tensor_of(shape=[2, 2], data=[[1, 2], [3]])], 500, "Shape does not match true shape"),
    ("vector", [tensor_of(shape=[1, -2])], 500, "non-unsigned-integer as unsigned-integer"),
    ("vector", [tensor_of(shape=[-1, 2])], 500, "non-unsigned-integer as unsigned-integer"),
    ("vector", [tensor_of(shape=[1, 2.5])], 500, "non-unsigned-integer as unsigned-integer"),
    ("vector", [tensor_of(data=["a", "b"])], 500, "non-number"),
    ("vector", [tensor_of(data=[None, 1])], 500, "non-number"),
    ("vector", [tensor_of(data={"a": 1})], 500, "non-array as array"),
    ("strings", [tensor_of(datatype="BYTES")], 500, "non-string as string"),
    ("vector", [tensor_of(name=Absent)], 500, "'name'"),
    ("vector", [tensor_of(shape=Absent)], 500, "'shape'"),
    ("vector", [tensor_of(datatype=Absent)], 500, "'datatype'"),
    ("vector", [tensor_of(data=Absent)], 400, "no field is set"),
    ("unknown", [tensor_of()], 404, "unknown model: 'unknown' is not found"),
    ("vector/versions/9", [tensor_of()], 404, "unknown model: 'vector' version 9 is not found"),
]


@pytest.mark.parametrize(("model", "tensors", "status", "words"), _JSON_ERRORS)
def test_json(server: Server, model: str, tensors: list[Any], status: int, words: str) -> None:
    reply = server.infer(model, {"inputs": tensors})
    assert reply.status == status
    assert words in reply.error


def test_json_with_an_unknown_output(server: Server) -> None:
    reply = server.infer("vector", {"inputs": [tensor_of()], "outputs": [{"name": "other"}]})
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
        json.dumps({"inputs": [tensor_of()]}).encode()[:-1],
        json.dumps({"inputs": [tensor_of()]}).encode() + b"x",
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
    return tensor_of(data=Absent, parameters={"binary_data_size": size}, **fields)


@pytest.mark.parametrize(
    ("said", "sent", "status", "words"),
    [
        (4, 4, 400, "Expected 8, got 4"),
        (12, 12, 400, "Expected 8, got 12"),
        (4, 8, 400, "unexpected additional input data"),
        (8, 12, 400, "unexpected additional input data"),
        (8, 4, 400, "expecting 4 additional bytes"),
        (HUGE, 8, 400, "additional bytes"),
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


@pytest.mark.parametrize("shape", [[0, 2, 3], [1, 0, HUGE], [1, HUGE, 0], [4, HUGE, 1], [2, 2**30, 2**31]])
def test_binary_of_a_shape_without_data(server: Server, shape: list[int]) -> None:
    reply = _post_binary(server, _binary_tensor(0, shape=shape), b"", "matrix")
    assert reply.status == 400
    assert "input" in reply.error


@pytest.mark.parametrize("lie", STRING_LIES)
def test_strings_that_lie_over_http(server: Server, lie: str) -> None:
    data = STRING_LIES[lie]
    reply = _post_binary(server, _binary_tensor(len(data), datatype="BYTES"), data, "strings")
    assert reply.status == 400
    assert "x" in reply.error
