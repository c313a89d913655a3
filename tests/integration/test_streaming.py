# SPDX-License-Identifier: Apache-2.0
"""Decoupled models: any number of responses to a request, over gRPC streams and server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch, sample
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.request import Array, Response
from tests.helpers.clients import ask
from tests.helpers.gate import wait_until
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running
from tests.helpers.streams import Event, grpc_stream, rows, sse, stream, stream_sse

FLOAT = Tensor((1,), np.float32)
STEPS = 5
MEGABYTE = 1 << 20


@batch
def generator(INPUT_1: Array) -> Iterator[Any]:
    for index in range(STEPS):
        yield [INPUT_1 + index]


@batch
async def async_generator(INPUT_1: Array) -> AsyncIterator[Any]:
    for index in range(STEPS):
        await asyncio.sleep(0)
        yield [INPUT_1 + index]


def lists(requests: Any) -> Iterator[Any]:
    for index in range(STEPS):
        yield [{"OUTPUT_1": request["INPUT_1"] + index} for request in requests]


async def async_lists(requests: Any) -> AsyncIterator[Any]:
    for step in lists(requests):
        yield step


@sample
def without_batching(INPUT_1: Array) -> Iterator[Any]:
    for index in range(STEPS):
        yield [INPUT_1 + index]


class Callable_:
    """An object like the models of examples that stream."""

    @batch
    def __call__(self, **inputs: Array) -> Iterator[Any]:
        for index in range(STEPS):
            yield [inputs["INPUT_1"] + index]


@batch
def function(INPUT_1: Array) -> Any:
    return [INPUT_1]


@batch
async def coroutine(INPUT_1: Array) -> Any:
    await asyncio.sleep(0)
    return [INPUT_1]


def as_many(requests: Any) -> Iterator[Any]:
    """As many responses as the input says, which differs within a batch."""
    wanted = [int(request["INPUT_1"][0, 0]) for request in requests]
    for index in range(max(wanted)):
        yield [
            Response({"OUTPUT_1": rows(index)}, {"left": many - index - 1}, final=index + 1 == many)
            if index < many
            else None
            for many in wanted
        ]


@batch
def failing(INPUT_1: Array) -> Iterator[Any]:
    for index in range(int(INPUT_1[0, 0])):
        yield [INPUT_1 + index]
    raise ZeroDivisionError("in mid-stream")


def some_fail(requests: Any) -> Iterator[Any]:
    pairs = [(request["INPUT_1"][0, 0] < 0, request) for request in requests]
    error = PyTritonInferenceError("it is negative", ErrorCode.INVALID_ARG)
    yield [error if bad else {"OUTPUT_1": request["INPUT_1"]} for bad, request in pairs]
    yield [None if bad else {"OUTPUT_1": request["INPUT_1"]} for bad, request in pairs]


KINDS = {
    "generator": generator,
    "async_generator": async_generator,
    "lists": lists,
    "async_lists": async_lists,
    "callable": Callable_(),
}
SINGLE = {"function": function, "coroutine": coroutine}
LATER = DynamicBatcher(max_queue_delay_microseconds=50_000, preferred_batch_size=[3])


def model(name: str, function: Any, **options: Any) -> Model:
    return Model(name, function, [FLOAT], [FLOAT], ModelConfig(decoupled=True, **options))


@pytest.fixture(scope="module")
def server(module_leaves_nothing: None) -> Iterator[Server]:
    functions = {**KINDS, **SINGLE, "failing": failing}
    with running(
        *(model(name, function) for name, function in functions.items()),
        model("unbatched", without_batching, batching=False),
        model("as_many", as_many, batcher=LATER),
        model("some_fail", some_fail, batcher=LATER),
    ) as server:
        for name in functions:  # event loops have descriptors, and stay
            stream_sse(server, name, {"INPUT_1": [1]})
        yield server


def numbers(events: list[Event]) -> list[float]:
    return [float(event.outputs["OUTPUT_1"][0, 0]) for event in events]


@pytest.mark.parametrize("name", KINDS)
def test_generators(server: Server, name: str) -> None:
    events = stream(server, name, {"INPUT_1": rows(3)}, request_id="ours")
    assert numbers(events) == [3, 4, 5, 6, 7]
    assert {event.request_id for event in events} == {"ours"}
    assert [event["OUTPUT_1"] for event in stream_sse(server, name, {"INPUT_1": [3]})] == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", KINDS)
def test_requests_of_many_rows(server: Server, name: str) -> None:
    events = stream(server, name, {"INPUT_1": rows(1, 2, 3)})
    assert [event.outputs["OUTPUT_1"].ravel().tolist() for event in events] == [
        [index + 1, index + 2, index + 3] for index in range(STEPS)
    ]


def test_without_batching(server: Server) -> None:
    events = stream(server, "unbatched", {"INPUT_1": np.array([3], np.float32)})
    assert [float(event.outputs["OUTPUT_1"][0]) for event in events] == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", SINGLE)
def test_functions_give_one_response(server: Server, name: str) -> None:
    assert numbers(stream(server, name, {"INPUT_1": rows(3)})) == [3]
    assert stream_sse(server, name, {"INPUT_1": [3]}) == [
        {"model_name": name, "model_version": "1", "OUTPUT_1": 3}
    ]
    reply = server.post(f"/v2/models/{name}/generate", {"INPUT_1": [3]})
    assert (reply.status, reply.json["OUTPUT_1"]) == (200, 3)


def test_generate_wants_exactly_one_response(server: Server) -> None:
    for name in ("generator", "as_many"):
        reply = server.post(f"/v2/models/{name}/generate", {"INPUT_1": [2]})
        assert "exactly 1 response" in reply.json["error"]


def test_infer_is_not_for_streams(server: Server) -> None:
    document = {"inputs": [{"name": "INPUT_1", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}
    reply = server.infer("generator", document)
    assert reply.status == 501
    with pytest.raises(InferenceServerException, match="decoupled"):
        ask(server, "generator", {"INPUT_1": rows(1)})


def test_empty_streams(serve: Any) -> None:
    def nothing(requests: Any) -> Iterator[Any]:
        yield from ()

    server = serve(model("nothing", nothing))
    assert stream(server, "nothing", {"INPUT_1": rows(1)}) == []
    assert stream_sse(server, "nothing", {"INPUT_1": [1]}) == []


def test_different_numbers_of_responses_in_one_batch(server: Server) -> None:
    before = server.statistics("as_many")["execution_count"]
    with grpc_stream(server) as opened:
        for count in (1, 4, 2):
            opened.send("as_many", {"INPUT_1": rows(count)}, str(count))
        seen: dict[str, list[Event]] = {"1": [], "2": [], "4": []}
        order: list[str] = []
        while len(order) < 3:
            event = opened.receive()
            if event.final:
                order.append(event.request_id)
            else:
                assert event.request_id not in order
                seen[event.request_id].append(event)
    for name, events in seen.items():
        assert numbers(events) == list(range(int(name)))
        assert [event.parameters["left"] for event in events] == list(reversed(range(int(name))))
    assert sorted(order) == ["1", "2", "4"]
    assert server.statistics("as_many")["execution_count"] == before + 1


def test_errors_in_mid_stream(server: Server) -> None:
    for before in (0, 2):
        with grpc_stream(server) as opened:
            opened.send("failing", {"INPUT_1": rows(before)})
            for index in range(before):
                assert float(opened.receive().outputs["OUTPUT_1"][0, 0]) == before + index
            with pytest.raises(InferenceServerException, match="ZeroDivisionError: in mid-stream"):
                opened.receive()
            # The stream serves others.
            opened.send("generator", {"INPUT_1": rows(0)})
            assert numbers(list(opened.until_final())) == [0, 1, 2, 3, 4]
        *events, last = stream_sse(server, "failing", {"INPUT_1": [before]})
        assert len(events) == before
        assert "in mid-stream" in last["error"]


def test_errors_of_single_requests(server: Server) -> None:
    with grpc_stream(server) as opened:
        for value in (1, -1, 2):
            opened.send("some_fail", {"INPUT_1": rows(value)}, str(value))
        events: list[Event] = []
        errors = []
        while sum(event.final for event in events) < 2:
            try:
                events.append(opened.receive())
            except InferenceServerException as error:
                errors.append(error.message())
    assert errors == ["it is negative"]
    assert sorted(event.request_id for event in events if not event.final) == ["1", "1", "2", "2"]


def test_many_streams_at_once(server: Server) -> None:
    with grpc_stream(server) as opened:
        for index in range(64):
            opened.send("generator" if index % 2 else "async_generator", {"INPUT_1": rows(index)}, str(index))
        seen: dict[str, list[float]] = {str(index): [] for index in range(64)}
        ended = 0
        while ended < 64:
            event = opened.receive()
            if event.final:
                ended += 1
            else:
                seen[event.request_id] += numbers([event])
    assert seen == {str(index): [index + step for step in range(STEPS)] for index in range(64)}


def test_long_streams_of_large_responses(serve: Any) -> None:
    """Far more than the memory that a stream takes; every byte is checked."""

    def large(requests: Any) -> Iterator[Any]:
        array = np.empty((1, 100_000), np.float32)
        for index in range(200):
            array[:] = index
            yield [{"OUTPUT_1": array} for _ in requests]

    server = serve(Model("large", large, [FLOAT], [Tensor((-1,), np.float32)], ModelConfig(decoupled=True)))
    with grpc_stream(server) as opened:
        opened.send("large", {"INPUT_1": rows(1)})
        for index, event in enumerate(opened.until_final()):
            assert np.all(event.outputs["OUTPUT_1"] == index)
    assert index == 199


def test_statistics(serve: Any) -> None:
    server = serve(model("counted", generator), model("failing", failing))
    for _ in range(3):
        stream(server, "counted", {"INPUT_1": rows(1)})
        stream_sse(server, "failing", {"INPUT_1": [1]})
    counted = server.statistics("counted")
    assert counted["inference_count"] == counted["execution_count"] == 3
    assert counted["inference_stats"]["success"]["count"] == 3
    assert counted["inference_stats"]["compute_infer"]["ns"] > 0
    failed = server.statistics("failing")["inference_stats"]
    assert (failed["success"]["count"], failed["fail"]["count"]) == (0, 3)


def test_events_are_json(server: Server) -> None:
    reply = server.request(
        "POST", "/v2/models/as_many/generate_stream", json.dumps({"INPUT_1": [2], "unused": "parameter"})
    )
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body.count(b"data: ") == 2
    assert b'"left":1' in reply.body


class Flood:
    """A stream of megabytes that would never end by itself."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __call__(self, requests: Any) -> Iterator[Any]:
        array = np.zeros((1, MEGABYTE // 4), np.float32)
        many = int(requests[0]["INPUT_1"][0, 0])
        try:
            for index in range(many):
                array[:] = index
                yield [{"OUTPUT_1": array}]
        finally:
            self.closed.set()


@pytest.fixture
def flooded(serve: Any) -> tuple[Server, Flood]:
    flood = Flood()
    output = Tensor((-1,), np.float32)
    config = ModelConfig(decoupled=True, stream_memory_bytes=64 * MEGABYTE)
    return serve(Model("flood", flood, [FLOAT], [output], config)), flood


def test_readers_that_do_not_read(flooded: tuple[Server, Flood]) -> None:
    """The server takes what a stream gives, read or not; before it is full, the stream ends."""
    server, flood = flooded
    with sse(server, "flood", {"INPUT_1": [100_000]}) as events:
        assert next(events)["OUTPUT_1"][:2] == [0, 0]
        assert flood.closed.wait(TIMEOUT_S)
        last = next(event for event in events if "error" in event)
    assert "read the responses faster" in last["error"]
    assert f"the limit is {64 * MEGABYTE}" in last["error"]
    wait_until(lambda: server.statistics("flood")["inference_stats"]["fail"]["count"] == 1, "the end")


def test_readers_that_read_get_any_amount(flooded: tuple[Server, Flood]) -> None:
    server, _ = flooded
    connection = http.client.HTTPConnection(LOCAL, server.http_port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("POST", "/v2/models/flood/generate_stream", json.dumps({"INPUT_1": [300]}))
        response = connection.getresponse()
        events, rest = 0, b""
        while part := response.read(MEGABYTE):
            assert b"error" not in part
            events += (rest + part).count(b"data: ")
            rest = part[-5:]
        assert events == 300


def test_statistics_of_responses(server: Server) -> None:
    before = server.statistics("generator").get("response_stats", {})
    stream(server, "generator", {"INPUT_1": rows(1)})
    after = server.statistics("generator")["response_stats"]
    assert len(after) == STEPS + 1
    for index in range(STEPS):
        counts = [
            statistics.get(str(index), {}).get("success", {}).get("count", 0)
            for statistics in (before, after)
        ]
        assert counts[1] == counts[0] + 1
    assert after[str(STEPS)]["empty_response"]["count"] >= 1
