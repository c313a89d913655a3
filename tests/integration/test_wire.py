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

from pytriton.decorators import batch, sample
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.request import Request
from tests.helpers.clients import Array, ask, ask_later, inputs_for, pick
from tests.helpers.gate import Gate, plugged, wait_for_queue
from tests.helpers.server import TIMEOUT_S, Model, Reply, Server, running

_BINARY: Final = "Inference-Header-Content-Length"
_HEADERS: Final = "x-.*"
_PARAMETERS: Final = {"whole": 1, "large": 2**62, "negative": -5, "text": "Zażółć", "yes": True, "no": False}

gate = Gate()
parameters: list[Any] = []


@batch
def double(x: Array) -> dict[str, Array]:
    gate.pass_through()
    return {"y": x * 2}


def echo_list(requests: list[Request]) -> list[dict[str, Array]]:
    parameters.extend(request.parameters for request in requests)
    return [{"y": request["x"]} for request in requests]


@batch
def join(texts: Array) -> list[Array]:
    return [np.array([[b"+".join(row.tolist())] for row in texts], object)]


@batch
def echo_types(**inputs: Array) -> list[Array]:
    return list(inputs.values())


@sample
def generate(prompt: Array, count: Array | None = None) -> dict[str, Array]:
    times = 1 if count is None else int(count.item())
    return {"text": np.array([prompt.item() * times], object), "sizes": np.arange(times, dtype=np.int32)}


def fail(requests: list[Request]) -> list[dict[str, Array]]:
    raise RuntimeError("no luck")


_TYPES: Final = {
    "bool_contents": (np.bool_, [True, False]),
    "int_contents": (np.int16, [-(2**15), 2**15 - 1]),
    "int64_contents": (np.int64, [-(2**63), 2**63 - 1]),
    "uint_contents": (np.uint8, [0, 255]),
    "uint64_contents": (np.uint64, [0, 2**64 - 1]),
    "fp32_contents": (np.float32, [0.5, -1.5]),
    "fp64_contents": (np.float64, [0.1, float("inf")]),
    "bytes_contents": (bytes, [b"", b"nul\0\xff"]),
}


def _models() -> Iterator[Model]:
    x, y = [Tensor((-1,), np.float32, "x")], [Tensor((-1,), np.float32, "y")]
    for name, function in (("double", double), ("echo_list", echo_list), ("fail", fail), ("counted", double)):
        yield Model(name, function, x, y, ModelConfig(max_batch_size=8))
    yield Model("versioned", double, x, y)
    yield Model("versioned", echo_list, x, y, version=3)
    texts = [Tensor((-1,), bytes, "texts")], [Tensor((1,), bytes, "joined")]
    yield Model("join", join, *texts, ModelConfig(max_batch_size=8))
    types = [Tensor((-1,), dtype, name) for name, (dtype, _) in _TYPES.items()]
    yield Model("types", echo_types, types, types)
    prompt = [Tensor((1,), bytes, "prompt"), Tensor((1,), np.int32, "count", optional=True)]
    text = [Tensor((1,), bytes, "text"), Tensor((-1,), np.int32, "sizes")]
    yield Model("generate", generate, prompt, text, ModelConfig(batching=False))
    yield Model("scalar", double, [Tensor((), np.float32, "x")], [Tensor((), np.float32, "y")])
    described = DynamicBatcher(max_queue_delay_microseconds=5, preferred_batch_size=[2, 4])
    yield Model("described", double, x, y, ModelConfig(max_batch_size=4, batcher=described))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = {"http_header_forward_pattern": _HEADERS, "grpc_header_forward_pattern": _HEADERS}
    with running(*_models(), config=config) as server:
        yield server


def _document(*rows: list[float], **more: Any) -> dict[str, Any]:
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": rows}
    return {"inputs": [tensor], **more}


def _post_binary(
    server: Server, model: str, head: Mapping[str, Any], data: bytes, headers: Mapping[str, str] | None = None
) -> Reply:
    encoded = json.dumps(head).encode()
    path = f"/v2/models/{model}/infer"
    return server.request("POST", path, encoded + data, {_BINARY: str(len(encoded)), **(headers or {})})


def _data(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    (output,) = reply.json["outputs"]
    return output["data"]


@pytest.mark.smoke
def test_json(server: Server) -> None:
    reply = server.infer("double", _document([1.0, 2.0], [3.0, 4.0], id="the id"))
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "id": "the id",
        "model_name": "double",
        "model_version": "1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2.0, 4.0, 6.0, 8.0]}],
    }


def test_flat_data(server: Server) -> None:
    document = _document([0.0, 0.0])
    document["inputs"][0]["data"] = [1, 2]
    assert _data(server.infer("double", document)) == [2.0, 4.0]


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
    assert _data(_post_binary(server, "join", {"inputs": [tensor]}, data)) == ["a+bc"]


def test_all_outputs_as_binary(server: Server) -> None:
    reply = server.infer("double", _document([1.0], parameters={"binary_data_output": True}))
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
    for name, (dtype, values) in _TYPES.items():
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
        dtype, values = _TYPES[name]
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
    body = pack(json.dumps(_document([1.0])).encode())
    headers = {"Content-Encoding": algorithm, "Accept-Encoding": algorithm}
    reply = server.request("POST", "/v2/models/double/infer", body, headers)
    assert reply.headers["content-encoding"] == algorithm
    assert json.loads(unpack(reply.body))["outputs"][0]["data"] == [2.0]
    given = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    values = np.zeros((1, 5000), np.float32)
    assert not ask(server, "double", {"x": values}, "binary", **given).outputs["y"].any()
    assert not ask(server, "double", {"x": values}, compression_algorithm=algorithm).outputs["y"].any()


def test_parameters_reach_the_function(server: Server) -> None:
    parameters.clear()
    server.infer("echo_list", _document([1.0], parameters={**_PARAMETERS, "broken": 1.5}))
    server.infer("echo_list", _document([1.0]))
    ask(server, "echo_list", {"x": np.zeros((1, 1), np.float32)}, parameters=_PARAMETERS)
    ask(server, "echo_list", {"x": np.zeros((1, 1), np.float32)}, "binary", parameters=_PARAMETERS)
    over_http, none, over_grpc, binary = parameters
    assert over_http == {**_PARAMETERS, "broken": 1.5}
    assert none == {}
    assert over_grpc == _PARAMETERS
    assert {name: value for name, value in binary.items() if name != "binary_data_output"} == _PARAMETERS


def test_forwarded_headers_reach_the_function(server: Server) -> None:
    parameters.clear()
    headers = {"X-Mixed": "Value", "x-lower": "=; ,", "Other": "not this one"}
    server.infer("echo_list", _document([1.0], parameters={"own": 1}), headers)
    lower = {"x-lower": "value", "other": "not this one"}
    ask(server, "echo_list", {"x": np.zeros((1, 1), np.float32)}, headers=lower)
    assert parameters == [{"X-Mixed": "Value", "x-lower": "=; ,", "own": 1}, {"x-lower": "value"}]


def test_headers_need_not_be_text(server: Server) -> None:
    parameters.clear()
    reply = server.infer(
        "echo_list", _document([1.0]), {"X-Latin": "\xe4\xff", "X-UTF": "Zażółć".encode().decode("latin-1")}
    )
    assert reply.status == 200
    assert parameters[0]["X-UTF"] == "Zażółć"
    assert isinstance(parameters[0]["X-Latin"], str)


def test_parameters_of_requests_in_a_batch(server: Server) -> None:
    parameters.clear()
    values = {"x": np.zeros((1, 1), np.float32)}
    pick([ask_later(server, "echo_list", values, parameters={"n": number}) for number in range(20)], "y")
    assert sorted(given["n"] for given in parameters) == list(range(20))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt": "ab"}, {"text": "ab", "sizes": 0}),
        ({"prompt": "ab", "count": 3}, {"text": "ababab", "sizes": [0, 1, 2]}),
        ({"prompt": ["ab"], "count": [2], "id": "the id"}, {"text": "abab", "sizes": [0, 1], "id": "the id"}),
    ],
)
def test_generate(server: Server, given: dict[str, Any], expected: dict[str, Any], stream: bool) -> None:
    path = "/v2/models/generate/generate" + ("_stream" if stream else "")
    reply = server.post(path, given)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    text = reply.body.decode().removeprefix("data: ").rstrip()
    assert json.loads(text) == {"model_name": "generate", "model_version": "1", **expected}


@pytest.mark.parametrize("model", ["scalar", "double"])
def test_generate_adds_the_batch_dimension(server: Server, model: str) -> None:
    assert server.post(f"/v2/models/{model}/generate", {"x": 3}).json["y"] == 6.0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((-1,), ["1,1", "1,2", "1,6"]),
        ((1,), ["1,1", "2,1", "6,1"]),
        ((), ["1", "2", "6"]),
        ((2,), [400, "1,2", "3,2"]),
        ((-1, 3), [400, 400, "1,2,3"]),
        ((-1, -1), ["1,1,1", "1,1,2", "1,1,6"]),
    ],
)
def test_generate_makes_shapes_of_the_number_of_values(
    serve: Callable[..., Server], shape: tuple[int, ...], expected: list[str | int]
) -> None:
    @batch
    def shape_of(x: Any) -> list[Any]:
        return [np.array([[",".join(map(str, x.shape)).encode()]] * len(x), object)]

    inputs, outputs = (
        [Tensor(dtype=np.float32, shape=shape, name="x")],
        [Tensor(dtype=bytes, shape=(1,), name="y")],
    )
    model_server = serve(Model("shapes", shape_of, inputs, outputs, ModelConfig(max_batch_size=8)))
    found = []
    for value in (1, [1, 2], [1, 2, 3, 4, 5, 6]):
        reply = model_server.post("/v2/models/shapes/generate", {"x": value})
        said = reply.json["y"] if reply.status == 200 else reply.status
        found.append(said[0] if isinstance(said, list) else said)
    assert found == expected
    for nested in ([[1, 2]], [[1, 2, 3], [4, 5, 6]]):
        assert model_server.post("/v2/models/shapes/generate", {"x": nested}).status in {400, 500}


def test_generate_with_an_error(server: Server) -> None:
    reply = server.post("/v2/models/fail/generate", {"x": 3})
    assert reply.status == 400  # the server's choice, where infer has 500
    assert "no luck" in reply.error
    reply = server.post("/v2/models/fail/generate_stream", {"x": 3})
    assert "no luck" in reply.body.decode()


def test_health(server: Server) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/double/ready"):
        assert (server.get(path).status, server.get(path).body) == (200, b"")
    assert server.grpc_client.is_server_ready()
    assert server.grpc_client.is_model_ready("double")
    assert server.get("/v2/models/unknown/ready").status == 400


def test_server_metadata(server: Server) -> None:
    metadata = server.get("/v2").json
    assert metadata["name"] == "triton"
    assert {"binary_tensor_data", "system_shared_memory", "statistics"} <= set(metadata["extensions"])


def test_model_metadata(server: Server) -> None:
    assert server.get("/v2/models/generate").json == {
        "name": "generate",
        "versions": ["1"],
        "platform": "pytriton",
        "inputs": [
            {"name": "prompt", "datatype": "BYTES", "shape": [1]},
            {"name": "count", "datatype": "INT32", "shape": [1]},
        ],
        "outputs": [
            {"name": "text", "datatype": "BYTES", "shape": [1]},
            {"name": "sizes", "datatype": "INT32", "shape": [-1]},
        ],
    }
    (tensor,) = server.get("/v2/models/double").json["inputs"]
    assert tensor == {"name": "x", "datatype": "FP32", "shape": [-1, -1]}


def test_model_config(server: Server) -> None:
    config = server.get("/v2/models/described/config").json
    assert config["backend"] == "pytriton"
    assert config["max_batch_size"] == 4
    assert config["dynamic_batching"]["preferred_batch_size"] == [2, 4]
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 5
    assert [group["kind"] for group in config["instance_group"]] == ["KIND_CPU"]
    assert config["parameters"] == {}


def test_repository_index_has_our_models_and_no_other(server: Server) -> None:
    index = server.post("/v2/repository/index", {}).json
    assert {entry["name"] for entry in index} == {model.name for model in _models()}
    assert {entry["state"] for entry in index} == {"READY"}


def test_versions(server: Server) -> None:
    assert server.get("/v2/models/versioned").json["versions"] == ["1", "3"]
    document = _document([1.0])
    for version, expected in (("", 1.0), ("/versions/1", 2.0), ("/versions/3", 1.0)):
        assert _data(server.post(f"/v2/models/versioned{version}/infer", document)) == [expected]
    assert server.post("/v2/models/versioned/versions/2/infer", document).status == 404
    values = {"x": np.ones((1, 1), np.float32)}
    assert ask(server, "versioned", values, model_version="1").outputs["y"].item() == 2


def test_statistics_and_metrics_count(server: Server) -> None:
    with plugged(server, "counted", gate, {"x": np.zeros((1, 1), np.float32)}):
        futures = [ask_later(server, "counted", {"x": np.zeros((2, 1), np.float32)}) for _ in range(3)]
        wait_for_queue(server, "counted", 3)
    pick(futures, "y")
    statistics = server.statistics("counted")
    assert (statistics["inference_count"], statistics["execution_count"]) == (7, 2)
    assert [entry["batch_size"] for entry in statistics["batch_stats"]] == [1, 6]
    times = statistics["inference_stats"]
    assert {name: times[name]["count"] for name in ("success", "fail", "queue", "compute_infer")} == {
        "success": 4,
        "fail": 0,
        "queue": 4,
        "compute_infer": 4,
    }
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert all(times[part]["ns"] > 0 for part in parts)
    assert sum(times[part]["ns"] for part in parts) <= times["success"]["ns"]
    metrics = server.metrics("counted")
    counted = [metrics[f"nv_inference_{name}"] for name in ("request_success", "count", "exec_count")]
    assert counted == [4, 7, 2]


def test_failures_are_counted(server: Server) -> None:
    before = server.statistics("fail")["inference_stats"]["fail"]["count"]
    assert server.infer("fail", _document([1.0])).status == 500
    assert server.statistics("fail")["inference_stats"]["fail"]["count"] == before + 1
    assert server.metrics("fail")["nv_inference_request_failure"] == before + 1
    assert server.statistics("fail")["execution_count"] == 0
