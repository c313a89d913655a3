# SPDX-License-Identifier: Apache-2.0
"""ModelClient against a real server, over both protocols."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import ModelClient
from pytriton.client.exceptions import (
    PyTritonClientClosedError,
    PyTritonClientInferenceServerError,
    PyTritonClientModelDoesntSupportBatchingError,
    PyTritonClientModelUnavailableError,
    PyTritonClientProtocolError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.client.options import InferOptions, Retry
from pytriton.decorators import batch, sample
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request
from tests.helpers.clients import Array
from tests.helpers.gate import Gate, plugged
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, free_ports, running

_TYPES: Final = ("bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64")
gate = Gate()
seen: list[Any] = []


@batch
def echo(**inputs: Array) -> dict[str, Array]:
    gate.pass_through()
    return {f"{name}_out": array for name, array in inputs.items()}


@batch
def double(x: Array) -> dict[str, Array]:
    return {"x_out": 2 * x}


@sample
def single(x: Array) -> dict[str, Array]:
    return {"x_out": x + 1}


def inspect(requests: list[Request]) -> list[dict[str, Array]]:
    seen.extend(dict(request.parameters or {}) for request in requests)
    return [{"x_out": request["x"]} for request in requests]


def fail(requests: list[Request]) -> list[dict[str, Array]]:
    raise ZeroDivisionError("division by zero")


def _model(name: str, function: Any, config: ModelConfig, *tensors: Tensor, **options: Any) -> Model:
    outputs = [Tensor(tensor.shape, tensor.dtype, f"{tensor.name}_out") for tensor in tensors]
    return Model(name, function, tensors, outputs, config, **options)


def _models() -> Iterator[Model]:
    batched, x = ModelConfig(max_batch_size=16), Tensor((-1,), np.float32, "x")
    yield _model("echo", echo, batched, x)
    yield _model("two", echo, batched, x, Tensor((2, -1), np.int64, "ids"))
    yield _model("optional", echo, batched, x, Tensor((1,), np.int32, "n", optional=True))
    yield _model("strings", echo, batched, Tensor((-1,), bytes, "x"))
    yield _model("text", echo, batched, Tensor((1,), bytes, "x"))
    yield _model("types", echo, batched, *(Tensor((-1,), np.dtype(name), name) for name in _TYPES))
    yield _model("single", single, ModelConfig(batching=False), x)
    yield _model("inspect", inspect, batched, x)
    yield _model("fail", fail, batched, x)
    yield _model("versioned", echo, batched, x, version=1)
    yield _model("versioned", double, batched, x, version=3)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.fixture(params=["http", "grpc"])
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return url_of(server, request.param)


def url_of(server: Server, protocol: str) -> str:
    return f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"


def test_batch_and_sample(url: str) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with ModelClient(url, "echo") as client:
        for result in (client.infer_batch(x), client.infer_batch(x=x)):
            assert list(result) == ["x_out"]
            np.testing.assert_array_equal(result["x_out"], x)
            result["x_out"][:] = 0  # the caller's own
        for result in (client.infer_sample(x[0]), client.infer_sample(x=x[0].tolist())):
            np.testing.assert_array_equal(result["x_out"], x[0])
        assert client.is_batching_supported
        assert client.model_config.max_batch_size == 16


def test_without_batching(url: str) -> None:
    with ModelClient(url, "single") as client:
        assert not client.is_batching_supported
        assert client.infer_sample([1, 2])["x_out"].tolist() == [2, 3]
        with pytest.raises(PyTritonClientModelDoesntSupportBatchingError, match="use infer_sample"):
            client.infer_batch([[1, 2]])


def test_several_inputs_by_position_and_by_name(url: str) -> None:
    x, ids = np.ones((2, 3), np.float32), np.arange(8).reshape(2, 2, 2)
    with ModelClient(url, "two") as client:
        for result in (client.infer_batch(x, ids), client.infer_batch(ids=ids, x=x)):
            np.testing.assert_array_equal(result["x_out"], x)
            np.testing.assert_array_equal(result["ids_out"], ids)
        only = client.infer_batch(x, ids, options=InferOptions(outputs=["ids_out"]))
        assert list(only) == ["ids_out"]


def test_optional_inputs_can_be_left_out(url: str) -> None:
    with ModelClient(url, "optional") as client:
        assert set(client.infer_sample(x=[1], n=[2])) == {"x_out", "n_out"}
        assert set(client.infer_sample([1])) >= {"x_out"}


def test_every_type(url: str) -> None:
    values: dict[str, Any] = {name: np.array([[0, 1, 0], [1, 1, 0]], name) for name in _TYPES}
    with ModelClient(url, "types") as client:
        result = client.infer_batch(**values)
    for name, array in values.items():
        assert result[f"{name}_out"].dtype == array.dtype
        assert result[f"{name}_out"].flags.aligned
        np.testing.assert_array_equal(result[f"{name}_out"], array)


@pytest.mark.parametrize(
    "given", [["ż", "", "x" * 1000], np.array([b"a", b"\xffb"]), np.array([b"n\0"], object)]
)
def test_strings(url: str, given: Any) -> None:
    expected = [text.encode() if isinstance(text, str) else text for text in list(given)]
    with ModelClient(url, "strings") as client:
        assert client.infer_sample(given)["x_out"].tolist() == expected


def test_one_value_per_row_needs_no_dimension(url: str) -> None:
    with ModelClient(url, "text") as client:
        assert client.infer_sample("text")["x_out"].tolist() == [b"text"]
        assert client.infer_batch(["a", "b"])["x_out"].tolist() == [[b"a"], [b"b"]]


@pytest.mark.parametrize("size", [1, 1 << 12, 1 << 20, 1 << 23])
def test_sizes(url: str, size: int) -> None:
    x = np.arange(size, dtype=np.float32)
    with ModelClient(url, "echo") as client:
        np.testing.assert_array_equal(client.infer_sample(x)["x_out"], x)


def test_arrays_that_are_not_contiguous(url: str) -> None:
    x = np.arange(2000, dtype=np.float32).reshape(4, 500)[::2, ::-1]
    with ModelClient(url, "echo") as client:
        np.testing.assert_array_equal(client.infer_batch(x)["x_out"], x)


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compression(url: str, compression: Any) -> None:
    x = np.zeros((2, 50_000), np.float32)
    with ModelClient(url, "echo", compression=compression) as client:
        np.testing.assert_array_equal(client.infer_batch(x)["x_out"], x)


def test_batches_are_split_on_request(url: str) -> None:
    x = np.arange(100, dtype=np.float32).reshape(50, 2)
    with ModelClient(url, "echo") as client, pytest.raises(PyTritonClientValueError, match="at most 16"):
        client.infer_batch(x)
    with ModelClient(url, "echo", split_batches=True) as client:
        np.testing.assert_array_equal(client.infer_batch(x)["x_out"], x)


def test_parameters_reach_the_function(url: str) -> None:
    parameters: dict[str, str | int | bool] = {"text": "ż", "number": -(2**40), "yes": True}
    with ModelClient(url, "inspect") as client:
        client.infer_sample([1], parameters=parameters, headers={"X-Any": "1"})
    assert seen.pop() == parameters


@pytest.mark.parametrize(
    ("args", "named", "options", "message"),
    [
        ((), {}, {}, "Provide input data"),
        (([1],), {"x": [1]}, {}, "Use either positional either keyword"),
        (([1], [2]), {}, {}, "2 inputs were given; it has 1: x"),
        ((), {"z": [1]}, {}, 'no input "z"; its inputs are x'),
        (([[1]],), {}, {}, "for a batch use infer_batch"),
        ((["a"],), {}, {}, "takes FP32"),
        (([1],), {}, {"parameters": "x"}, "parameters must be a dict"),
        (([1],), {}, {"parameters": {"a": [1.5]}}, "must be str, int, float or bool"),
        (([1],), {}, {"parameters": {1: "a"}}, "keys must be str"),
        (([1],), {}, {"parameters": {"priority": 1}}, "use options=InferOptions"),
        (([1],), {}, {"headers": {"a": None}}, "must be str, int, float or bool"),
        (([1],), {}, {"headers": {"a": "b\r\nc: d"}}, "more than one line"),
        (([1],), {}, {"headers": {"a b": "c"}}, "headers"),
        (([1],), {}, {"options": InferOptions(outputs=["nope"])}, 'no output "nope"'),
    ],
)
def test_bad_input_is_not_sent(
    server: Server, url: str, args: Any, named: Any, options: Any, message: str
) -> None:
    before = server.statistics("echo")["inference_stats"]
    with ModelClient(url, "echo") as client, pytest.raises(PyTritonClientValueError, match=message):
        client.infer_sample(*args, **named, **options)
    assert server.statistics("echo")["inference_stats"] == before


def test_headers_that_the_protocol_does_not_take(server: Server, url: str) -> None:
    with ModelClient(url, "echo") as client, pytest.raises(PyTritonClientValueError):
        client.infer_sample([1], headers={"x-name": "\u65e5\u672c"})


def test_missing_inputs_and_batch_sizes(url: str) -> None:
    with ModelClient(url, "two") as client:
        with pytest.raises(PyTritonClientValueError, match='input "ids" is missing'):
            client.infer_batch(np.ones((1, 1), np.float32))
        with pytest.raises(PyTritonClientValueError, match="batch sizes differ"):
            client.infer_batch(np.ones((1, 1), np.float32), np.ones((2, 2, 1), int))
        with pytest.raises(PyTritonClientValueError, match=r"expected shape \(batch, 2, -1\)"):
            client.infer_batch(np.ones((1, 1), np.float32), np.ones((1, 3, 1), int))


def test_a_failing_function(url: str) -> None:
    with ModelClient(url, "fail") as client:
        for _ in range(2):
            with pytest.raises(PyTritonClientInferenceServerError, match="division by zero"):
                client.infer_sample([1])


def test_an_unknown_model_is_told_at_once(url: str) -> None:
    with ModelClient(url, "nope", init_timeout_s=TIMEOUT_S) as client:
        with pytest.raises(PyTritonClientModelUnavailableError, match=r'"nope".*"echo".*wait_for_model'):
            client.infer_sample([1])
        with pytest.raises(
            PyTritonClientTimeoutError, match=r"Waiting for model nope/<latest> to be ready timed out"
        ):
            client.wait_for_model(0.1)
    with pytest.raises(PyTritonClientModelUnavailableError):
        ModelClient(url, "echo", "7", lazy_init=False)


def test_versions(url: str) -> None:
    with ModelClient(url, "versioned", "1") as first, ModelClient(url, "versioned") as latest:
        assert first.infer_sample([1])["x_out"].tolist() == [1]
        assert latest.infer_sample([1])["x_out"].tolist() == [2]


def test_one_client_for_64_threads(url: str) -> None:
    with ModelClient(url, "echo") as client, ThreadPoolExecutor(64) as pool:
        barrier = threading.Barrier(64)

        def ask(number: int) -> bool:
            barrier.wait(TIMEOUT_S)
            x = np.full(1 + number % 50, number, np.float32)
            return all(np.array_equal(client.infer_sample(x)["x_out"], x) for _ in range(20))

        assert all(pool.map(ask, range(64)))


def test_timeouts_leave_the_client_usable(server: Server, url: str) -> None:
    with ModelClient(url, "echo", inference_timeout_s=0.2) as client:
        client.infer_sample([1])
        with plugged(server, "echo", gate, {"x": np.zeros((1, 1), np.float32)}):
            with pytest.raises(PyTritonClientTimeoutError):
                client.infer_sample([1])
            with pytest.raises(PyTritonClientTimeoutError):
                client.infer_sample([1], options=InferOptions(timeout_s=0.05))
        assert client.infer_sample([2], options=InferOptions(timeout_s=TIMEOUT_S))["x_out"] == 2


def test_closed_clients(url: str) -> None:
    client = ModelClient(url, "echo")
    config = client.model_config
    client.close()
    client.close()
    assert client.model_config is config
    for call in (
        lambda: client.infer_sample([1]),
        lambda: client.wait_for_server(1),
        lambda: client.wait_for_model(1),
    ):
        with pytest.raises(PyTritonClientClosedError, match="closed"):
            call()


def test_closing_ends_what_is_under_way(server: Server, url: str) -> None:
    client = ModelClient(url, "echo")
    client.infer_sample([1])
    with ThreadPoolExecutor(1) as pool:
        gate.shut()
        try:
            future = pool.submit(client.infer_sample, [1])
            gate.wait_for_arrival()
            client.close()
            with pytest.raises(PyTritonClientClosedError):
                future.result(TIMEOUT_S)
        finally:
            gate.open()


def test_the_wrong_port_is_told_at_once(server: Server) -> None:
    for url, advice in (
        (f"http://{LOCAL}:{server.grpc_port}", "gRPC port"),
        (f"grpc://{LOCAL}:{server.http_port}", "HTTP port"),
        (f"http://{LOCAL}:{server.metrics_port}", "Is this the HTTP port of a Triton"),
    ):
        with pytest.raises(PyTritonClientProtocolError, match=advice):
            ModelClient(url, "echo", lazy_init=False)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_nobody_there(protocol: str) -> None:
    with ModelClient(f"{protocol}://{LOCAL}:{free_ports(1)[0]}", "echo", init_timeout_s=0.2) as client:
        with pytest.raises(
            PyTritonClientTimeoutError, match=r"Waiting for server .* to be ready timed out.*refused"
        ):
            client.infer_sample([1])
        with pytest.raises(PyTritonClientTimeoutError, match=r"Waiting for (.*) to be ready timed out"):
            client.wait_for_server(0.1)


def test_waiting_for_a_server_that_comes() -> None:
    (http_port,) = free_ports(1)
    with ModelClient(f"http://{LOCAL}:{http_port}", "echo") as client, ThreadPoolExecutor(1) as pool:
        future = pool.submit(client.infer_sample, [1])
        with running(
            _model("echo", echo, ModelConfig(), Tensor((-1,), np.float32, "x")),
            config={"http_port": http_port},
        ):
            assert future.result(TIMEOUT_S)["x_out"].tolist() == [1]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_goes_and_comes_again(protocol: str) -> None:
    http_port, grpc_port = free_ports(2)
    model = _model("echo", echo, ModelConfig(), Tensor((-1,), np.float32, "x"))
    config = {"http_port": http_port, "grpc_port": grpc_port}
    port = http_port if protocol == "http" else grpc_port
    url = f"{protocol}://{LOCAL}:{port}"
    with ModelClient(
        url, "echo", retry=Retry(100, 0.05, 0.2, idempotent=True), inference_timeout_s=TIMEOUT_S
    ) as client:
        with running(model, config=config):
            client.infer_sample([1])
        with (
            ModelClient(
                url, "echo", model_config=client.model_config, ensure_model_is_ready=False
            ) as impatient,
            pytest.raises(PyTritonClientTimeoutError, match=r"refused|failed|closed"),
        ):
            impatient.infer_sample([1])
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(client.infer_sample, [2])
            with running(model, config=config):
                assert future.result(TIMEOUT_S)["x_out"].tolist() == [2]


def test_copies(url: str) -> None:
    with ModelClient(url, "echo", inference_timeout_s=7) as client:
        client.infer_sample([1])
        with ModelClient.from_existing_client(client) as copy:
            assert copy.model_config is client.model_config
            assert copy.infer_sample([1])["x_out"] == 1
        assert client.infer_sample([1])["x_out"] == 1


def test_a_known_configuration_is_not_asked_for(server: Server, url: str) -> None:
    with ModelClient(url, "echo") as client:
        known = client.model_config
    wrong = TritonModelConfig("echo", max_batch_size=3, inputs=known.inputs, outputs=known.outputs)
    with ModelClient(url, "echo", model_config=wrong, ensure_model_is_ready=False) as client:
        client.infer_sample([1])
        assert client.model_config is wrong
    with ModelClient(url, "echo", model_config=wrong) as client:
        assert client.model_config is wrong
        client.infer_sample([1])
        assert client.model_config.max_batch_size == 16
