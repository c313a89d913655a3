# SPDX-License-Identifier: Apache-2.0
"""Streaming clients over HTTP, from a real server's /generate_stream."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import AsyncioDecoupledModelClient, DecoupledModelClient
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientClosedError,
    PyTritonClientConnectionError,
    PyTritonClientInferenceServerError,
    PyTritonClientProtocolError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.client.options import InferOptions
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Request
from pytriton.triton import TritonSecurityConfig
from tests.helpers.clients import Array
from tests.helpers.http_peer import CONFIG, Heard, answer, http_peer
from tests.helpers.server import LOCAL, TIMEOUT_S, Model, Server, running

ended: queue.SimpleQueue[str] = queue.SimpleQueue()
STREAM: Final = {**CONFIG, "model_transaction_policy": {"decoupled": True}}
ROUNDS: Final = 40  # the server lost an end in one of 2 to 100
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def story(requests: list[Request]) -> Iterator[list[dict[str, Array]]]:
    """Count words up to the number that is asked for, and wait or fail on request."""
    (request,) = requests
    parameters = dict(request.parameters or {})
    try:
        for number in range(int(request["count"].ravel()[0])):
            if number == parameters.get("hang_after"):
                waiting.wait(TIMEOUT_S)
            if number == parameters.get("fail_after"):
                raise ZeroDivisionError("no luck")
            text = np.array([[f"{request['text'].ravel()[0].decode()} {number} ü"]], object)
            yield [{"text_out": np.char.encode(text.astype(str)), "number": np.array([[number]], np.int64)}]
    finally:
        ended.put(str(parameters.get("name", "")))


def echo(requests: list[Request]) -> Iterator[list[dict[str, Array]]]:
    yield [{f"{name}_out": array for name, array in request.items()} for request in requests]
    yield [{f"{name}_out": array for name, array in request.items()} for request in requests]


waiting = threading.Event()
_ECHOED: Final = (
    Tensor((-1,), np.float32, "f"),
    Tensor((2, 3), np.int64, "i"),
    Tensor((1,), np.bool_, "b"),
    Tensor((-1, 2), np.float64, "d"),
)


def _models() -> list[Model]:
    decoupled = ModelConfig(max_batch_size=4, decoupled=True)
    outputs = [Tensor(each.shape, each.dtype, f"{each.name}_out") for each in _ECHOED]
    return [
        Model(
            "story",
            story,
            [Tensor((1,), bytes, "text"), Tensor((1,), np.int32, "count")],
            [Tensor((1,), bytes, "text_out"), Tensor((1,), np.int64, "number")],
            ModelConfig(max_batch_size=1, decoupled=True),
        ),
        Model("echo", echo, _ECHOED, outputs, decoupled),
        Model(
            "wide",
            echo,
            [Tensor((-1, -1), np.float32, "x")],
            [Tensor((-1, -1), np.float32, "x_out")],
            ModelConfig(batching=False, decoupled=True),
        ),
        Model("half", echo, [Tensor((1,), np.float16, "x")], [Tensor((1,), np.float16, "x_out")], decoupled),
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as running_server:
        yield running_server


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    waiting.clear()
    while not ended.empty():
        ended.get()
    yield server.url
    waiting.set()


def blocking(url: str, model: str, *inputs: Any, most: int | None = None, **given: Any) -> list[Any]:
    options = {name: given.pop(name) for name in ("inference_timeout_s", "access_token") if name in given}
    method = given.pop("method", "infer_sample")
    with (
        DecoupledModelClient(url, model, **options) as client,
        getattr(client, method)(*inputs, **given) as responses,
    ):
        return [outputs for _, outputs in zip(range(most or 10**6), responses, strict=False)]


def in_tasks(url: str, model: str, *inputs: Any, most: int | None = None, **given: Any) -> list[Any]:
    options = {name: given.pop(name) for name in ("inference_timeout_s", "access_token") if name in given}
    method = given.pop("method", "infer_sample")

    async def main() -> list[Any]:
        async with AsyncioDecoupledModelClient(url, model, **options) as client:
            found: list[Any] = []
            responses = getattr(client, method)(*inputs, **given)
            async for outputs in responses:
                found.append(outputs)
                if len(found) == most:
                    break
            await responses.aclose()
            return found

    return asyncio.run(main())


@pytest.fixture(params=[blocking, in_tasks])
def ask(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    function: Callable[..., list[Any]] = request.param
    return function


def test_responses_in_order(url: str, ask: Any) -> None:
    for count in (0, 1, 5, 200):
        found = ask(url, "story", "löwe", [count])
        assert [outputs["text_out"].tolist() for outputs in found] == [
            [f"löwe {number} ü".encode()] for number in range(count)
        ]
        assert [outputs["number"].item() for outputs in found] == list(range(count))
        assert all(outputs["number"].dtype == np.int64 for outputs in found)


def test_the_same_as_over_grpc(server: Server, url: str, ask: Any) -> None:
    inputs: dict[str, Any] = {
        "f": np.array([1.5, -2.25, 3e-30, 0.1], np.float32),
        "i": np.array([[2**62, 2, 3], [4, 5, -(2**63)]]),
        "b": np.array([True]),
        "d": np.array([[0.1, 2.0], [3.0, 1e300]]),
    }
    over_grpc = blocking(f"grpc://{LOCAL}:{server.grpc_port}", "echo", **inputs)
    over_http = ask(url, "echo", **inputs)
    assert len(over_http) == len(over_grpc) == 2
    for one, other in zip(over_http, over_grpc, strict=True):
        assert sorted(one) == sorted(other)
        for name, array in one.items():
            assert array.dtype == other[name].dtype
            assert array.shape == other[name].shape
            assert array.tolist() == other[name].tolist()


def test_some_outputs_and_an_id(url: str, ask: Any) -> None:
    options = InferOptions(outputs=["number"], request_id="mine")
    assert [list(outputs) for outputs in ask(url, "story", "a", [2], options=options)] == [["number"]] * 2


@pytest.mark.parametrize(
    ("model", "inputs", "options"),
    [
        ("wide", [np.ones((2, 3), np.float32)], None),
        ("half", [np.ones(1, np.float16)], None),
        ("story", [b"\xff\xfe", [1]], None),
        ("story", ["a", [1]], InferOptions(priority=1)),
        ("story", ["a", [1]], InferOptions(sequence_id=1)),
        ("story", ["a", [1]], InferOptions(queue_timeout_us=1)),
        ("echo", [[float("nan")], np.ones((2, 3), np.int64), [True], [[1.0, 2.0]]], None),
        ("echo", [np.ones(0, np.float32), np.ones((2, 3), np.int64), [True], [[1.0, 2.0]]], None),
    ],
)
def test_what_it_cannot_carry_is_refused(
    url: str, ask: Any, model: str, inputs: Any, options: InferOptions | None
) -> None:
    with pytest.raises(PyTritonClientValueError, match=r"/generate_stream.*use grpc://"):
        ask(url, model, *inputs, options=options)


def test_batches_with_fixed_shapes_only(url: str, ask: Any) -> None:
    with pytest.raises(PyTritonClientValueError, match="input"):
        ask(url, "echo", np.ones((2, 3), np.float32), np.ones((2, 2, 3), np.int64), [[True]] * 2,
            np.ones((2, 1, 2)), method="infer_batch")  # fmt: skip


def test_errors_come_where_they_happen(url: str, ask: Any) -> None:
    for first in (0, 2):
        with pytest.raises(PyTritonClientInferenceServerError, match="no luck"):
            ask(url, "story", "a", [5], parameters={"fail_after": first})
    assert len(ask(url, "story", "a", [5], parameters={"fail_after": 2}, most=2)) == 2


def test_each_response_has_its_time(url: str, ask: Any) -> None:
    with pytest.raises(PyTritonClientTimeoutError, match=r"next response.*0\.3 s"):
        ask(url, "story", "a", [5], parameters={"hang_after": 2, "name": "t"}, inference_timeout_s=0.3)


def test_all_responses_have_a_deadline(url: str, ask: Any) -> None:
    with pytest.raises(PyTritonClientTimeoutError, match=r"0\.3 s.*Deadline Exceeded"):
        ask(url, "story", "a", [5], parameters={"hang_after": 2}, options=InferOptions(timeout_s=0.3))


def test_an_early_end_cancels_on_the_server(url: str, ask: Any) -> None:
    assert len(ask(url, "story", "a", [10**6], parameters={"name": "left"}, most=3)) == 3
    assert ended.get(timeout=TIMEOUT_S) == "left"


def test_no_end_of_a_stream_is_lost(url: str) -> None:
    async def count(client: AsyncioDecoupledModelClient, most: int) -> int:
        return sum([1 async for _ in client.infer_sample("a", [most])])

    async def main() -> None:
        async with AsyncioDecoupledModelClient(url, "story") as client:
            for _ in range(ROUNDS):
                found = await asyncio.gather(*(count(client, most) for most in range(40)))
                assert found == list(range(40))

    asyncio.run(main())


def test_many_streams_on_one_client(url: str) -> None:
    async def values(client: AsyncioDecoupledModelClient, count: int) -> list[int]:
        return [outputs["number"].item() async for outputs in client.infer_sample("a", [count])]

    async def main() -> None:
        async with AsyncioDecoupledModelClient(url, "story") as client:
            found = await asyncio.gather(*(values(client, count) for count in range(40)))
            assert found == [list(range(count)) for count in range(40)]

    asyncio.run(main())
    with DecoupledModelClient(url, "story") as client, ThreadPoolExecutor(16) as pool:

        def ask(count: int) -> list[int]:
            return [outputs["number"].item() for outputs in client.infer_sample("a", [count])]

        assert list(pool.map(ask, range(40))) == [list(range(count)) for count in range(40)]


def test_closing_the_client_ends_streams(url: str) -> None:
    async def main() -> None:
        client = AsyncioDecoupledModelClient(url, "story")
        responses = client.infer_sample("a", [5], parameters={"hang_after": 1})
        assert (await anext(responses))["number"] == 0
        rest = asyncio.ensure_future(anext(responses))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(PyTritonClientClosedError):
            await asyncio.wait_for(rest, TIMEOUT_S)

    asyncio.run(main())
    client = DecoupledModelClient(url, "story")
    responses = client.infer_sample("a", [5], parameters={"hang_after": 1})
    next(responses)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(next, responses)
        client.close()
        with pytest.raises(PyTritonClientClosedError):
            rest.result(TIMEOUT_S)


def test_another_thread_closes_a_stream(url: str) -> None:
    with DecoupledModelClient(url, "story") as client, ThreadPoolExecutor(1) as pool:
        responses = client.infer_sample("a", [5], parameters={"hang_after": 1})
        next(responses)
        rest = pool.submit(next, responses, "over")
        responses.close()
        assert rest.result(TIMEOUT_S) == "over"
        assert len(list(client.infer_sample("a", [2]))) == 2


def test_a_slow_reader_gets_all(url: str) -> None:
    async def main() -> None:
        async with AsyncioDecoupledModelClient(url, "story") as client:
            responses = client.infer_sample("a" * 1000, [3000])
            first = (await anext(responses))["number"].item()
            await asyncio.sleep(0.3)
            assert [first, *[outputs["number"].item() async for outputs in responses]] == list(range(3000))

    asyncio.run(main())


def test_restricted_endpoints() -> None:
    security = TritonSecurityConfig(access_token="secret", restricted_endpoints=["inference"])
    with running(*_models()[:1], security_config=security) as guarded:
        for ask in (blocking, in_tasks):
            with pytest.raises(PyTritonClientAccessDeniedError, match="access_token"):
                ask(guarded.url, "story", "a", [1])
            assert len(ask(guarded.url, "story", "a", [1], access_token="secret")) == 1


def _peer(reply: bytes) -> Any:
    def script(heard: Heard, connection: socket.socket) -> bytes | None:
        if heard.path.endswith("/config"):
            return answer(STREAM)
        connection.sendall(reply)
        return None

    return http_peer(script)


def _chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


@pytest.mark.parametrize("reply", [b"", HEAD, HEAD + _chunk(b'data: {"y": 1}\n\n')])
def test_a_server_that_goes_in_the_middle(ask: Any, reply: bytes) -> None:
    with _peer(reply) as peer, pytest.raises(PyTritonClientConnectionError, match="closed the connection"):
        ask(peer.url, "m", [1])


@pytest.mark.parametrize(
    "event", [b"data: nonsense\n\n", b"data: []\n\n", b'data: {"y": "a"}\n\n', b'data: {"y": [[1], [2]]}\n\n']
)
def test_events_that_cannot_be_read(ask: Any, event: bytes) -> None:
    reply = HEAD + _chunk(event) + b"0\r\n\r\n"
    with _peer(reply) as peer, pytest.raises(PyTritonClientProtocolError, match="cannot be read"):
        ask(peer.url, "m", [1])


def test_events_in_pieces_and_in_other_words(ask: Any) -> None:
    text = b': comment\r\nevent: x\r\ndata: {"y":\r\ndata: [1.5, 2]}\r\n\r\n' + b'data:{"y": 3}\n\n'
    reply = HEAD + b"".join(_chunk(text[n : n + 1]) for n in range(len(text))) + b"0\r\n\r\n"
    with _peer(reply) as peer:
        assert [outputs["y"].tolist() for outputs in ask(peer.url, "m", [1])] == [[1.5, 2.0], [3.0]]
