# SPDX-License-Identifier: Apache-2.0
"""Both HTTP transports against a peer that answers right, wrong, late or not at all."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

from pytriton.client import AsyncioModelClient, ModelClient
from pytriton.client._http import body, reader
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientConnectionError,
    PyTritonClientInferenceServerError,
    PyTritonClientModelUnavailableError,
    PyTritonClientProtocolError,
    PyTritonClientTimeoutError,
    PyTritonClientValueError,
)
from pytriton.client.options import InferOptions, Retry
from pytriton.exceptions import ErrorCode
from tests.helpers.http_peer import CONFIG, Heard, HttpPeer, answer, config_or, http_peer, tensor_answer
from tests.helpers.server import TIMEOUT_S

ONE: Final = np.float32(1).tobytes()


def ask_blocking(url: str, count: int = 1, options: InferOptions | None = None, **settings: Any) -> Any:
    with ModelClient(url, "m", **settings) as client:
        return [client.infer_sample([1], options=options) for _ in range(count)][-1]


def ask_asyncio(url: str, count: int = 1, options: InferOptions | None = None, **settings: Any) -> Any:
    async def main() -> Any:
        async with AsyncioModelClient(url, "m", **settings) as client:
            return [await client.infer_sample([1], options=options) for _ in range(count)][-1]

    return asyncio.run(main())


@pytest.fixture(params=[ask_blocking, ask_asyncio], ids=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Any:
    return request.param


def replying(reply: bytes) -> Callable[[Heard, socket.socket], bytes | None]:
    return config_or(lambda heard, connection: reply)


def test_one_round_trip_before_the_first_request_and_one_connection(ask: Any) -> None:
    with http_peer(replying(tensor_answer(ONE))) as peer:
        assert ask(peer.url, 3)["y"].tolist() == [1]
        assert [(heard.method, heard.path) for heard in peer.heard] == [
            ("GET", "/v2/models/m/config"),
            *[("POST", "/v2/models/m/infer")] * 3,
        ]
        assert peer.connections == 1


def chunked(body: bytes) -> bytes:
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def in_other_words(reply: bytes, how: str) -> bytes:
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    if how == "chunked":
        return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunked(body)])
    packed = gzip.compress(body) if how == "gzip" else zlib.compress(body)
    lines += [b"Content-Encoding: " + how.encode(), b"Content-Length: %d" % len(packed)]
    return b"\r\n".join([*lines, b"", packed])


@pytest.mark.parametrize("how", ["chunked", "gzip", "deflate"])
def test_ways_of_sending_a_body(ask: Any, how: str) -> None:
    with http_peer(replying(in_other_words(tensor_answer(ONE * 1000), how))) as peer:
        result = ask(peer.url, 2)["y"]
    assert result.tolist() == [1] * 1000
    assert result.flags.writeable


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_little_that_is_decompressed_to_much(ask: Any, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = tensor_answer(ONE * 10_000)
    size = len(reply.partition(b"\r\n\r\n")[2])
    with http_peer(replying(in_other_words(reply, how))) as peer:
        monkeypatch.setattr(body, "_LARGEST", size, raising=False)
        assert ask(peer.url)["y"].size == 10_000
        monkeypatch.setattr(body, "_LARGEST", size - 1, raising=False)
        with pytest.raises(
            PyTritonClientProtocolError, match=f"decompressed it has more than {size - 1} bytes.*compression="
        ):
            ask(peer.url)


def test_a_body_that_ends_with_its_connection(ask: Any) -> None:
    head, _, body = tensor_answer(ONE * 5).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]

    def script(heard: Heard, connection: socket.socket) -> None:
        connection.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))

    with http_peer(config_or(script)) as peer:
        assert ask(peer.url, 2)["y"].tolist() == [1] * 5


@pytest.mark.parametrize("size", [1, 100])
def test_a_body_in_little_pieces(ask: Any, size: int) -> None:
    reply = tensor_answer(ONE * 50)

    def script(heard: Heard, connection: socket.socket) -> bytes:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(reply), size):
            connection.sendall(reply[start : start + size])
        return b""

    with http_peer(config_or(script)) as peer:
        assert ask(peer.url, 2)["y"].tolist() == [1] * 50


@pytest.mark.parametrize(
    "reply",
    [
        answer(body=b""),
        answer(body=b"{"),
        answer([]),
        answer({"outputs": [{"name": "y"}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1]}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP32", "shape": [0, 1], "data": []}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [1, 2]}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP32", "shape": [], "data": [1]}]}),
        answer({"outputs": [{"name": "y", "datatype": "BYTES", "shape": [1, 5], "data": ["a"]}]}),
        answer({"outputs": [{"name": "y", "datatype": "INT32", "shape": [1, 1], "data": [1.7]}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP99", "shape": [1], "data": [1]}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1]}]}),
        answer({"outputs": [{"name": "y", "datatype": "FP32", "shape": [-1], "data": [1]}]}),
        tensor_answer(ONE, said=400),
        tensor_answer(ONE, said=2),
        answer({}, headers="Inference-Header-Content-Length: 99\r\n"),
        answer({}, headers="Inference-Header-Content-Length: x\r\n"),
        answer(body=b"\xff\xfe", headers="Content-Encoding: gzip\r\n"),
        answer(body=gzip.compress(b"{}")[:-1], headers="Content-Encoding: gzip\r\n"),
        answer({}, headers="Content-Encoding: br\r\n"),
    ],
)
def test_answers_that_cannot_be_read(ask: Any, reply: bytes) -> None:
    with (
        http_peer(replying(reply)) as peer,
        pytest.raises(PyTritonClientProtocolError, match=r"cannot be read"),
    ):
        ask(peer.url)


@pytest.mark.parametrize("reply", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"garbage\r\n\r\n"])
def test_what_is_no_http_server(ask: Any, reply: bytes) -> None:
    with (
        http_peer(lambda *_: reply) as peer,
        pytest.raises(PyTritonClientProtocolError, match=r"HTTP server"),
    ):
        ask(peer.url)


def test_a_grpc_server_is_told_apart(ask: Any) -> None:
    settings = b"\0\0\x18\4\0\0\0\0\0\0\4\0\x40\0\0\0\5\0\x40\0\0"
    refused = pytest.raises(PyTritonClientProtocolError, match="gRPC port")
    with http_peer(lambda *_: settings + b"\r\n\r\n") as peer, refused:
        ask(peer.url)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", tensor_answer(ONE)[:-1]])
def test_a_server_that_goes_in_the_middle(ask: Any, reply: bytes) -> None:
    def script(heard: Heard, connection: socket.socket) -> None:
        connection.sendall(reply)

    with http_peer(config_or(script)) as peer:
        with pytest.raises(PyTritonClientConnectionError, match="closed the connection") as info:
            ask(peer.url)
        assert info.value.sent


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", tensor_answer(ONE)[:-1]])
def test_a_server_that_stops_in_the_middle(ask: Any, reply: bytes) -> None:
    ended = threading.Event()

    def script(heard: Heard, connection: socket.socket) -> None:
        connection.sendall(reply)
        ended.wait(TIMEOUT_S)

    with http_peer(config_or(script)) as peer:
        with pytest.raises(
            PyTritonClientTimeoutError, match=r"waiting for an answer from .* timed out after 0\.2 s"
        ):
            ask(peer.url, inference_timeout_s=0.2)
        ended.set()


@pytest.mark.parametrize("timeout_s", [float("inf"), 1e12, 3e6])
def test_times_of_any_length(ask: Any, timeout_s: float) -> None:
    with http_peer(replying(tensor_answer(ONE))) as peer:
        assert ask(peer.url, inference_timeout_s=timeout_s)["y"].tolist() == [1]
        assert ask(peer.url, options=InferOptions(timeout_s=timeout_s))["y"].tolist() == [1]
        assert ask(peer.url, init_timeout_s=timeout_s)["y"].tolist() == [1]


def test_a_server_that_drips_does_not_outlive_the_deadline(ask: Any) -> None:
    ended = threading.Event()

    def script(heard: Heard, connection: socket.socket) -> None:
        for byte in tensor_answer(ONE * 1000):
            connection.sendall(bytes([byte]))
            if ended.wait(0.01):
                return

    with http_peer(config_or(script)) as peer:
        with pytest.raises(PyTritonClientTimeoutError, match="timed out"):
            ask(peer.url, options=InferOptions(timeout_s=0.2))
        ended.set()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("400 Bad Request", ErrorCode.INVALID_ARG),
        ("500 Internal Server Error", ErrorCode.INTERNAL),
        ("501 Not Implemented", ErrorCode.UNSUPPORTED),
        ("503 Service Unavailable", ErrorCode.UNAVAILABLE),
        ("418 Teapot", None),
    ],
)
def test_errors_of_the_server(ask: Any, status: str, code: ErrorCode | None) -> None:
    with http_peer(replying(answer({"error": "so it is"}, status))) as peer:
        with pytest.raises(PyTritonClientInferenceServerError, match="so it is") as info:
            ask(peer.url)
        assert info.value.code is code


def test_errors_that_are_no_json(ask: Any) -> None:
    refused = pytest.raises(PyTritonClientInferenceServerError, match="502: <html>")
    with http_peer(replying(answer(body=b"<html>", status="502 Bad Gateway"))) as peer, refused:
        ask(peer.url)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("length", [100, 100_000, 2_000_000])
def test_no_more_than_has_come_is_shown_of_an_answer(
    ask: Any, status: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_another(size: int) -> Any:
        return np.full(size, ord("s"), np.uint8)

    monkeypatch.setattr(body, "recycled", of_another)
    head = f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode()
    refused = pytest.raises(PyTritonClientInferenceServerError, match=f"{status[:3]}: no explanation")
    with http_peer(replying(head)) as peer, refused:
        ask(peer.url)


@pytest.mark.parametrize("length", [10**15, 10**19])
def test_answers_too_large_for_any_memory(ask: Any, length: int) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{" % length
    with (
        http_peer(replying(reply)) as peer,
        pytest.raises(PyTritonClientProtocolError, match=f"{length} bytes, for which there is no memory"),
    ):
        ask(peer.url)


def test_whatever_goes_wrong_with_an_answer_ends_the_waiting_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(peer: HttpPeer) -> None:
        async with AsyncioModelClient(peer.url, "m") as client:
            await client.infer_sample([1])
            monkeypatch.setattr(reader, "body_buffer", lambda *_: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                await client.infer_sample([1])

    with http_peer(replying(tensor_answer(ONE))) as peer:
        asyncio.run(main(peer))


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_restricted_endpoints(ask: Any, status: str) -> None:
    refused = pytest.raises(PyTritonClientAccessDeniedError, match="access_token=")
    with http_peer(replying(answer({"error": "restricted"}, status))) as peer, refused:
        ask(peer.url)


def test_tokens_and_headers_are_sent(ask: Any) -> None:
    with http_peer(replying(tensor_answer(ONE))) as peer:
        ask(peer.url, access_token="secret", headers={"X-All": 1})
        assert {heard.headers["triton-access-token"] for heard in peer.heard} == {"secret"}
        assert {heard.headers["x-all"] for heard in peer.heard} == {"1"}


def test_a_busy_server_is_asked_again(ask: Any) -> None:
    replies = [answer({"error": "queue is full"}, "503 Service Unavailable")] * 2 + [tensor_answer(ONE)]
    with http_peer(config_or(lambda *_: replies.pop(0))) as peer:
        assert ask(peer.url, retry=Retry(3, backoff_s=0.001))["y"].tolist() == [1]


def test_a_model_that_a_server_just_come_back_has_not_loaded_yet_is_waited_for(ask: Any) -> None:
    unknown = answer({"error": "Request for unknown model: 'm' is not found"}, "404 Not Found")
    replies = [unknown, tensor_answer(ONE)]
    with http_peer(config_or(lambda *_: replies.pop(0))) as peer:
        assert ask(peer.url, retry=Retry(2, backoff_s=0.001))["y"].tolist() == [1]


def test_what_a_function_does_not_find_is_not_looked_for_again(ask: Any) -> None:
    with http_peer(replying(answer({"error": "no such user"}, "404 Not Found"))) as peer:
        with pytest.raises(PyTritonClientInferenceServerError, match="no such user"):
            ask(peer.url, retry=Retry(3, backoff_s=0.001))
        assert len(peer.heard) == 2


def test_how_often_is_bounded(ask: Any) -> None:
    with http_peer(replying(answer({"error": "queue is full"}, "503 Service Unavailable"))) as peer:
        with pytest.raises(PyTritonClientInferenceServerError, match="queue is full"):
            ask(peer.url, retry=Retry(3, backoff_s=0.001))
        assert len(peer.heard) == 1 + 3


@pytest.mark.parametrize(("idempotent", "times"), [(False, 1), (True, 3)])
def test_what_may_have_run_is_sent_again_only_if_that_does_no_harm(
    ask: Any, idempotent: bool, times: int
) -> None:
    with http_peer(config_or(lambda *_: None)) as peer:
        with pytest.raises(PyTritonClientConnectionError):
            ask(peer.url, retry=Retry(3, backoff_s=0.001, idempotent=idempotent))
        assert len(peer.heard) == 1 + times


def test_errors_of_the_function_are_not_sent_again(ask: Any) -> None:
    with http_peer(replying(answer({"error": "no luck"}, "500 Internal Server Error"))) as peer:
        with pytest.raises(PyTritonClientInferenceServerError, match="no luck"):
            ask(peer.url, retry=Retry(3, backoff_s=0.001, idempotent=True))
        assert len(peer.heard) == 2


def test_connections_that_the_server_has_closed_are_not_used(ask: Any) -> None:
    closing = "Connection: close\r\n"

    def script(heard: Heard, connection: socket.socket) -> None:
        connection.sendall(tensor_answer(ONE, headers=closing))

    with http_peer(config_or(script)) as peer:
        assert ask(peer.url, 5)["y"].tolist() == [1]
        assert peer.connections == 5


def test_a_silent_close_between_requests_is_noticed() -> None:
    closed = threading.Semaphore(0)

    def script(heard: Heard, connection: socket.socket) -> None:
        connection.sendall(tensor_answer(ONE))
        connection.shutdown(socket.SHUT_RDWR)
        closed.release()

    with http_peer(config_or(script)) as peer, ModelClient(peer.url, "m") as client:
        for _ in range(5):
            assert client.infer_sample([1])["y"].tolist() == [1]
            assert closed.acquire(timeout=TIMEOUT_S)


def kserve(extensions: list[str]) -> Callable[[Heard, socket.socket], bytes]:
    """A server of the v2 protocol that is not Triton: no configurations, no repository."""

    def script(heard: Heard, connection: socket.socket) -> bytes:
        if heard.path == "/v2":
            return answer({"name": "other", "version": "1", "extensions": extensions})
        if heard.path == "/v2/models/m":
            x, y = ({"name": name, "datatype": "FP32", "shape": [-1, 2]} for name in "xy")
            return answer(
                {"name": "m", "versions": ["2"], "platform": "other", "inputs": [x], "outputs": [y]}
            )
        if heard.path == "/v2/models/m/infer":
            output = {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
            return answer({"model_name": "m", "outputs": [output]})
        return answer({"detail": "Not Found"}, "404 Not Found")

    return script


@pytest.mark.parametrize("extensions", [[], ["binary_tensor_data"]])
def test_servers_that_are_not_triton(extensions: list[str]) -> None:
    with http_peer(kserve(extensions)) as peer, ModelClient(peer.url, "m") as client:
        assert client.infer_sample([1, 2])["y"].tolist() == [1, 2]
        assert client.infer_batch(np.array([[1, 2]], np.float32))["y"].tolist() == [[1, 2]]
        with pytest.raises(PyTritonClientValueError, match=r"shape \(2\)"):
            client.infer_sample([1, 2, 3])
        binary = "inference-header-content-length" in peer.heard[-1].headers
        assert binary == bool(extensions)
        assert client.model_config.model_version == 2
    refused = pytest.raises(PyTritonClientModelUnavailableError, match="does not tell which models")
    with http_peer(kserve([])) as peer, ModelClient(peer.url, "nope") as client, refused:
        client.infer_sample([1, 2])


def test_a_restricted_configuration_is_got_around(ask: Any) -> None:
    def script(heard: Heard, connection: socket.socket) -> bytes:
        if heard.path.endswith("/config"):
            return answer({"error": "restricted"}, "403 Forbidden")
        if heard.path == "/v2/models/m":
            x, y = ({"name": name, "datatype": "FP32", "shape": [-1, 1]} for name in "xy")
            return answer({"name": "m", "inputs": [x], "outputs": [y]})
        return tensor_answer(ONE)

    with http_peer(script) as peer:
        assert ask(peer.url)["y"].tolist() == [1]


@pytest.mark.parametrize(
    "config", [{**CONFIG, "input": [{"name": "x"}]}, {"max_batch_size": "many"}, {"name": ""}]
)
def test_configurations_that_cannot_be_read(ask: Any, config: Any) -> None:
    refused = pytest.raises(PyTritonClientProtocolError, match="configuration that cannot be read")
    with http_peer(lambda *_: answer(config)) as peer, refused:
        ask(peer.url)


def test_requests_over_one_pool_of_connections() -> None:
    async def main(peer: HttpPeer) -> None:
        async with AsyncioModelClient(peer.url, "m") as client:
            results = await asyncio.gather(*(client.infer_sample([1]) for _ in range(400)))
            assert all(result["y"] == 1 for result in results)

    with http_peer(replying(tensor_answer(ONE))) as peer:
        asyncio.run(main(peer))
        assert peer.connections <= 129
        assert [heard.path for heard in peer.heard].count("/v2/models/m/config") == 1
