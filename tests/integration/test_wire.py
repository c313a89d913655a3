# SPDX-License-Identifier: Apache-2.0
"""What clients see on the wire, with requests made by hand."""

from __future__ import annotations

import gzip
import json
import queue
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from pytriton.model_config import Tensor
from tests.helpers.clients import ask, inputs_for
from tests.helpers.server import TIMEOUT_S, Reply, Server, running
from tests.helpers.wire_models import HEADERS, TYPES, data_of, document_of, wire_models

_BINARY: Final = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = {"http_header_forward_pattern": HEADERS, "grpc_header_forward_pattern": HEADERS}
    with running(*wire_models(), config=config) as server:
        yield server


def _post_binary(
    server: Server, model: str, head: Mapping[str, Any], data: bytes, headers: Mapping[str, str] | None = None
) -> Reply:
    encoded = json.dumps(head).encode()
    path = f"/v2/models/{model}/infer"
    return server.request("POST", path, encoded + data, {_BINARY: str(len(encoded)), **(headers or {})})


@pytest.mark.smoke
def test_json(server: Server) -> None:
    reply = server.infer("double", document_of([1.0, 2.0], [3.0, 4.0], id="the id"))
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "id": "the id",
        "model_name": "double",
        "model_version": "1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2.0, 4.0, 6.0, 8.0]}],
    }


def test_flat_data(server: Server) -> None:
    document = document_of([0.0, 0.0])
    document["inputs"][0]["data"] = [1, 2]
    assert data_of(server.infer("double", document)) == [2.0, 4.0]


@pytest.mark.smoke
def test_binary(server: Server) -> None:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    wanted = [{"name": "y", "parameters": {"binary_data": True}}]
    reply = _post_binary(server, "double", {"inputs": [tensor], "outputs": wanted}, struct.pack("<2f", 1, 2))
    assert reply.status == 200
    head, data = np.split(np.frombuffer(reply.body, np.uint8), [int(reply.headers[_BINARY.lower()])])
    assert json.loads(head.tobytes())["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert struct.unpack("<2f", data.tobytes()) == (2, 4)


def test_binary_in_and_json_out(server: Server) -> None:
    tensor = {"name": "texts", "shape": [1, 2], "datatype": "BYTES", "parameters": {"binary_data_size": 11}}
    data = struct.pack("<I1sI2s", 1, b"a", 2, b"bc")
    assert data_of(_post_binary(server, "join", {"inputs": [tensor]}, data)) == ["a+bc"]


def test_all_outputs_as_binary(server: Server) -> None:
    reply = server.infer("double", document_of([1.0], parameters={"binary_data_output": True}))
    assert reply.body[int(reply.headers[_BINARY.lower()]) :] == struct.pack("<f", 2)


def test_nothing_but_data(server: Server) -> None:
    data = struct.pack("<3f", 1, 2, 3)
    reply = server.request("POST", "/v2/models/double/infer", data, {_BINARY: "0"})
    assert reply.body[int(reply.headers[_BINARY.lower()]) :] == struct.pack("<3f", 2, 4, 6)


@pytest.mark.smoke
def test_grpc(server: Server) -> None:
    answer = ask(server, "double", {"x": np.array([[1, 2]], np.float32)}, request_id="the id")
    assert answer.outputs["y"].tolist() == [[2, 4]]
    response = answer.result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("the id", "double", "1")


def test_grpc_with_typed_contents(server: Server) -> None:
    request = service_pb2.ModelInferRequest(model_name="types")
    for name, (dtype, values) in TYPES.items():
        tensor = request.inputs.add(name=name, shape=[1, 2], datatype=Tensor((1,), dtype).datatype.name)
        getattr(tensor.contents, name).extend(values)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        response = stub.ModelInfer(request, timeout=TIMEOUT_S)
    raw = {
        output.name: content
        for output, content in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    assert raw.pop("bytes_contents") == struct.pack("<II5s", 0, 5, b"nul\0\xff")
    for name, content in raw.items():
        dtype, values = TYPES[name]
        assert np.frombuffer(content, dtype).tolist() == values


def test_grpc_stream(server: Server) -> None:
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = server.grpc()
    client.start_stream(callback=lambda result, error: answers.put(error or result.as_numpy("y").item()))
    for number in range(5):
        client.async_stream_infer("double", inputs_for("grpc", {"x": np.array([[number]], np.float32)}))
    assert sorted(answers.get(timeout=TIMEOUT_S) for _ in range(5)) == [0, 2, 4, 6, 8]
    client.stop_stream()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression(server: Server, algorithm: str) -> None:
    pack: Callable[[bytes], bytes] = gzip.compress if algorithm == "gzip" else zlib.compress
    unpack: Callable[[bytes], bytes] = gzip.decompress if algorithm == "gzip" else zlib.decompress
    body = pack(json.dumps(document_of([1.0])).encode())
    headers = {"Content-Encoding": algorithm, "Accept-Encoding": algorithm}
    reply = server.request("POST", "/v2/models/double/infer", body, headers)
    assert reply.headers["content-encoding"] == algorithm
    assert json.loads(unpack(reply.body))["outputs"][0]["data"] == [2.0]
    given = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    values = np.zeros((1, 5000), np.float32)
    assert not ask(server, "double", {"x": values}, "binary", **given).outputs["y"].any()
    assert not ask(server, "double", {"x": values}, compression_algorithm=algorithm).outputs["y"].any()
