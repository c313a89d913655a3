# SPDX-License-Identifier: Apache-2.0
"""What programs for 0.7 could see, and no other test looks at."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pytriton.client import (
    AsyncioDecoupledModelClient,
    AsyncioModelClient,
    DecoupledModelClient,
    FuturesModelClient,
    ModelClient,
)
from pytriton.client.exceptions import PyTritonClientInferenceServerError
from pytriton.decorators import (
    ConstantPadder,
    TritonContext,
    batch,
    fill_optionals,
    first_value,
    get_model_config,
    group_by_keys,
    group_by_values,
    triton_context,
)
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.types import Request
from pytriton.triton import TritonSecurityConfig
from tests.helpers.clients import ask, ask_later, pick
from tests.helpers.gate import wait_until
from tests.helpers.server import LOCAL, Model, Server, free_ports

Array = npt.NDArray[Any]
Serve = Callable[..., Server]

FLOATS = [Tensor((-1,), np.float32)]
DOCUMENT = {"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}


def test_every_callable_has_a_thread_and_a_loop(serve: Serve) -> None:
    meeting = threading.Barrier(2)
    seen: list[tuple[str, int, int]] = []

    def make(name: str) -> Callable[..., Any]:
        async def function(requests: list[Request]) -> list[dict[str, Array]]:
            seen.append((name, threading.get_ident(), id(asyncio.get_running_loop())))
            meeting.wait(20)
            return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]

        return function

    config = ModelConfig(max_batch_size=1)
    server = serve(Model("m", [make("a"), make("b")], FLOATS, FLOATS, config))
    for _ in range(3):
        pick([ask_later(server, "m", {"INPUT_1": np.ones((1, 1), np.float32)}) for _ in range(2)], "OUTPUT_1")
    assert len(seen) == 6
    assert len(set(seen)) == 2
    names, threads, loops = zip(*set(seen), strict=True)
    assert len(set(names)) == len(set(threads)) == len(set(loops)) == 2
    assert threading.main_thread().ident not in threads


def test_all_decorators_in_the_documented_order(serve: Serve) -> None:
    groups: list[tuple[bytes, int, list[float]]] = []

    @fill_optionals(scale=np.array([1.0], np.float32))
    @group_by_keys
    @batch
    @group_by_values("kind", pad_fn=ConstantPadder(0))
    @first_value("kind")
    @triton_context
    def function(
        values: Array, kind: Any, scale: Array, triton_context: Any, extra: Array | None = None
    ) -> dict[str, Array]:
        (model,) = triton_context.model_configs.values()
        groups.append((kind, model.max_batch_size, scale.ravel().tolist()))
        added = 0 if extra is None else extra
        length = int(kind)
        return {"result": (values * scale + added).repeat(length, axis=1)}

    inputs = [
        Tensor((1,), np.float32, "values"),
        Tensor((1,), bytes, "kind"),
        Tensor((1,), np.float32, "scale", optional=True),
        Tensor((1,), np.float32, "extra", optional=True),
    ]
    outputs = [Tensor((-1,), np.float32, "result")]
    server = serve(Model("m", function, inputs, outputs, ModelConfig(max_batch_size=8)))
    values = np.array([[1], [2], [3]], np.float32)
    kind = np.array([[b"2"], [b"1"], [b"2"]], dtype=object)
    answer = ask(server, "m", {"values": values, "kind": kind})
    assert answer.outputs["result"].tolist() == [[1, 1], [2, 0], [3, 3]]
    assert sorted(groups) == [(b"1", 8, [1.0]), (b"2", 8, [1.0, 1.0])]
    ten = np.full((3, 1), 10, np.float32)
    answer = ask(server, "m", {"values": values, "kind": kind, "scale": ten, "extra": ten})
    assert answer.outputs["result"].tolist() == [[20, 20], [30, 0], [40, 40]]


def test_the_context_knows_the_models_beside(serve: Serve) -> None:
    seen: list[list[str]] = []

    class Both:
        @batch
        def first(self, INPUT_1: Array) -> list[Array]:
            return [INPUT_1]

        @batch
        @triton_context
        def second(self, INPUT_1: Array, triton_context: TritonContext) -> list[Array]:
            configs = triton_context.model_configs
            seen.append(sorted(config.model_name for config in configs.values()))
            sizes = [configs[function].max_batch_size for function in (self.first, self.second)]
            return [np.full_like(INPUT_1, sizes)]

    both = Both()
    server = serve(
        Model("a", both.first, FLOATS, FLOATS, ModelConfig(max_batch_size=5)),
        Model("b", both.second, FLOATS, FLOATS, ModelConfig(max_batch_size=6)),
    )
    two = np.ones((1, 2), np.float32)
    assert ask(server, "b", {"INPUT_1": two}).outputs["OUTPUT_1"].tolist() == [[5, 6]]
    server.triton.bind("late", echo, FLOATS, FLOATS)
    ask(server, "b", {"INPUT_1": two})
    server.triton.unbind("late")
    ask(server, "b", {"INPUT_1": two})
    assert seen == [["a", "b"], ["a", "b", "late"], ["a", "b"]]
    assert get_model_config(both.first, both).model_name == "a"


def test_functions_of_models_may_call_one_another(serve: Serve) -> None:
    @batch
    def embed(text: Array) -> list[Array]:
        return [np.array([[len(item)] for item in text.ravel()], np.float32)]

    @fill_optionals(factor=np.array([10], np.float32))
    @batch
    def classify(embedding: Array, factor: Array) -> tuple[Array, Array]:
        return embedding * factor, embedding > 3

    def pipeline(requests: list[Request]) -> list[dict[str, Array]]:
        results = classify([Request({"embedding": result["embedding"]}) for result in embed(requests)])
        return [{"label": result["large"], "score": result["score"]} for result in results]

    text = [Tensor((1,), bytes, "text")]
    column = [Tensor((1,), np.float32, "embedding")]
    factor = Tensor((1,), np.float32, "factor", optional=True)
    score, large, label = (
        [Tensor((1,), np.float32, "score")],
        [Tensor((1,), bool, "large")],
        [Tensor((1,), bool, "label")],
    )
    server = serve(
        Model("embed", embed, text, column),
        Model("classify", classify, [*column, factor], score + large),
        Model("pipeline", pipeline, text, label + score),
    )
    words = {"text": np.array([[b"ab"], [b"abcde"]], dtype=object)}
    answer = ask(server, "pipeline", words)
    assert answer.outputs["score"].tolist() == [[20], [50]]
    assert answer.outputs["label"].tolist() == [[False], [True]]
    assert ask(server, "embed", words).outputs["embedding"].tolist() == [[2], [5]]
    assert embed([Request(words)])[0]["embedding"].tolist() == [[2], [5]]  # outside of every model, too


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_outputs_come_in_the_order_of_the_function(serve: Serve, protocol: str) -> None:
    @batch
    def function(INPUT_1: Array) -> dict[str, Array]:
        return {"b": INPUT_1, "c": INPUT_1, "a": INPUT_1}

    def undecorated(requests: list[Request]) -> list[dict[str, Array]]:
        return [function([request])[0] for request in requests]

    named = [Tensor((-1,), np.float32, name) for name in "cab"]
    server = serve(Model("m", function, FLOATS, named), Model("n", undecorated, FLOATS, named))
    url = f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"
    for name in ("m", "n"):
        with ModelClient(url, name) as client:
            assert list(client.infer_sample(np.ones(1, np.float32))) == ["b", "c", "a"]
        outputs = server.infer(name, DOCUMENT).json["outputs"]
        assert [output["name"] for output in outputs] == ["b", "c", "a"]


def test_an_unrecoverable_error_is_answered_at_once(serve: Serve) -> None:
    def fatal(requests: list[Request]) -> list[dict[str, Array]]:
        raise PyTritonUnrecoverableError("no further inferences possible")

    server = serve(Model("m", fatal, FLOATS, FLOATS))
    begin = time.monotonic()
    reply = server.infer("m", DOCUMENT)
    assert time.monotonic() - begin < 10
    assert reply.status == 500
    assert "no further inferences possible" in reply.error
    wait_until(lambda: not server.triton.is_alive(), "the end of serving")


def echo(requests: list[Request]) -> list[dict[str, Array]]:
    return [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


def test_values_with_spaces_reach_the_server(serve: Serve) -> None:
    server = serve(Model("m", echo, FLOATS, FLOATS), config={"id": "one = two  three"})
    assert server.get("/v2").json["name"] == "one = two  three"


def test_urls_in_the_log_work(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pytriton"):
        server = serve(Model("m", echo, FLOATS, FLOATS))
    (url,) = re.findall(rf"POST http://127\.0\.0\.1:{server.http_port}(\S+)", caplog.text)
    assert server.post(url, DOCUMENT).status == 200


def test_models_without_inputs(serve: Serve) -> None:
    def now(requests: list[Request]) -> list[dict[str, Array]]:
        return [{"OUTPUT_1": np.array([7], np.int32)} for _ in requests]

    outputs = [Tensor((1,), np.int32)]
    server = serve(
        Model("alone", now, [], outputs, ModelConfig(batching=False)), Model("batch", now, [], outputs)
    )
    assert server.infer("alone", {"inputs": []}).json["outputs"][0]["data"] == [7]
    refused = server.infer("batch", {"inputs": []})
    assert refused.status == 400
    assert "has 0 inputs" in refused.error or "no batch size" in refused.error


def test_a_token_of_ones_own_and_none_at_all(serve: Serve) -> None:
    given = serve(Model("m", echo, FLOATS, FLOATS), security_config=TritonSecurityConfig(access_token="word"))
    assert given.triton.get_access_token() == "word"
    assert given.get("/v2/models/m/stats").status == 403
    headers = {"triton-access-token": "word"}
    assert given.request("GET", "/v2/models/m/stats", headers=headers).status == 200
    given.triton.stop()
    free = serve(
        Model("m", echo, FLOATS, FLOATS), security_config=TritonSecurityConfig(restricted_endpoints=[])
    )
    assert free.triton.get_access_token() is None
    assert free.get("/v2/models/m/stats").status == 200


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_input_that_does_not_fit_is_caught_as_before(serve: Serve, protocol: str) -> None:
    server = serve(Model("m", echo, FLOATS, FLOATS, ModelConfig(max_batch_size=2)))
    url = f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"
    with ModelClient(url, "m") as client:
        for array in (np.zeros((3, 1), np.float32), np.zeros((1, 1), np.complex64), np.zeros(1, np.float32)):
            with pytest.raises(PyTritonClientInferenceServerError):
                client.infer_batch(array)
        with pytest.raises(PyTritonClientInferenceServerError):
            client.infer_batch(other=np.zeros((1, 1), np.float32))


def stream(requests: list[Request]) -> Iterator[list[dict[str, Array]]]:
    yield [{"OUTPUT_1": request["INPUT_1"]} for request in requests]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_client_takes_a_token(serve: Serve, protocol: str) -> None:
    server = serve(
        Model("m", echo, FLOATS, FLOATS),
        Model("s", stream, FLOATS, FLOATS, ModelConfig(decoupled=True)),
        security_config=TritonSecurityConfig("word", ["inference", "model-config"]),
    )
    url = f"{protocol}://{LOCAL}:{server.http_port if protocol == 'http' else server.grpc_port}"
    one = np.ones(1, np.float32)
    with ModelClient(url, "m", access_token="word") as client:
        assert client.infer_sample(one)["OUTPUT_1"] == one
    with FuturesModelClient(url, "m", access_token="word") as futures:
        assert futures.infer_sample(one).result(20)["OUTPUT_1"] == one

    async def infer() -> Any:
        async with AsyncioModelClient(url, "m", access_token="word") as client:
            return (await client.infer_sample(one))["OUTPUT_1"]

    assert asyncio.run(infer()) == one
    with (
        ModelClient(url, "m", init_timeout_s=1) as stranger,
        pytest.raises(PyTritonClientInferenceServerError),
    ):
        stranger.infer_sample(one)
    if protocol == "http":
        return
    with DecoupledModelClient(url, "s", access_token="word") as decoupled:
        assert [response["OUTPUT_1"] for response in decoupled.infer_sample(one)] == [one]

    async def infer_stream() -> list[Any]:
        async with AsyncioDecoupledModelClient(url, "s", access_token="word") as client:
            return [response["OUTPUT_1"] async for response in client.infer_sample(one)]

    assert asyncio.run(infer_stream()) == [one]


def test_asyncio_clients_find_a_server_soon(serve: Serve) -> None:
    ports = dict(zip(("http_port", "grpc_port", "metrics_port"), free_ports(3), strict=True))
    one = np.ones(1, np.float32)

    async def infer() -> float:
        async with AsyncioModelClient(f"http://{LOCAL}:{ports['http_port']}", "m") as client:
            answer = asyncio.create_task(client.infer_sample(one))
            await asyncio.sleep(0)
            await asyncio.to_thread(serve, Model("m", echo, FLOATS, FLOATS), config=ports)
            begin = time.monotonic()
            assert (await answer)["OUTPUT_1"] == one
            return time.monotonic() - begin

    assert asyncio.run(infer()) < 10
