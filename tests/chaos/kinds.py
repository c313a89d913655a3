# SPDX-License-Identifier: Apache-2.0
"""Kinds of clients: each asks for ever, checks every answer that it gets, and says what came of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final

import numpy as np

from pytriton.client import DecoupledModelClient, FuturesModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientAbortedError, PyTritonClientError
from tests.chaos.models import DTYPES, IN_PROCESSES, SLOW, expected
from tests.helpers.server import LOCAL, TIMEOUT_S, Address

__all__ = ["KINDS", "LOST"]

LOST: Final = "lost"
"""No answer; only what has just been killed may be the reason."""
_SIZES: Final = (1, 3, 100, 10_000, 300_000)
_RETRIABLE: Final = (503,)


def _array(chance: random.Random, dtypes: Sequence[Any]) -> Any:
    dtype = np.dtype(chance.choice(dtypes))
    numbers = np.random.default_rng(chance.getrandbits(32))
    shape = (chance.randint(1, 3), chance.choice(_SIZES))
    return numbers.integers(0, 100, shape).astype(dtype)


def _numbers(scheme: str, model: str = "") -> Callable[[Address, random.Random], Any]:
    def ask(address: Address, chance: random.Random) -> Any:
        port = address.http_port if scheme == "http" else address.grpc_port
        while True:
            array = _array(chance, (np.float32,) if model else DTYPES)
            name = model or f"negative_{array.dtype.name}"
            try:
                with ModelClient(f"{scheme}://{LOCAL}:{port}", name, inference_timeout_s=TIMEOUT_S) as client:
                    for _ in range(20):
                        found = client.infer_batch(array)["negative"]
                        assert found.dtype == array.dtype, f"{found.dtype} instead of {array.dtype}"
                        assert np.array_equal(found, expected(array)), f"wrong numbers of {array.shape}"
                        yield "right"
            except PyTritonClientError:
                yield LOST

    return ask


def _strings(address: Address, chance: random.Random) -> Any:
    while True:
        texts = ["".join(chance.choices("abcdef", k=chance.randint(0, 50))) for _ in range(5)]
        body = {"inputs": [{"name": "texts", "datatype": "BYTES", "shape": [1, 5], "data": texts}]}
        try:
            reply = address.infer("reverse", body)
        except (OSError, http.client.HTTPException):
            yield LOST
            continue
        if reply.status in _RETRIABLE:
            yield LOST
            continue
        assert reply.status == 200, f"strings: {reply.status} {reply.body!r}"
        expected = [text[::-1] for text in texts]
        data = reply.json["outputs"][0]["data"]
        assert data == expected, f"{data} instead of {expected}"
        yield "right"


def _streams(address: Address, chance: random.Random) -> Any:
    while True:
        start, steps = chance.randint(0, 10**9), chance.randint(0, 300)
        leaves_after = chance.choice([None, None, chance.randint(1, 20)])
        url = f"grpc://{LOCAL}:{address.grpc_port}"
        seen = 0
        try:
            with DecoupledModelClient(url, "count", inference_timeout_s=TIMEOUT_S) as client:
                for result in client.infer_sample(np.array([start, steps], np.int64)):
                    number = int(result["number"][0])
                    assert number == start + seen, f"stream: {number} instead of {start + seen}"
                    seen += 1
                    if seen == leaves_after:
                        break
        except PyTritonClientError:
            yield LOST
            continue
        expected_count = steps if leaves_after is None else min(steps, leaves_after)
        assert seen == expected_count, f"a stream of {steps} ended after {seen}"
        yield "whole" if seen == steps else "left"


def _leavers(address: Address, chance: random.Random) -> Any:
    """Hang up in the middle of a request, or before its answer."""
    body = json.dumps(
        {"inputs": [{"name": "values", "datatype": "FP32", "shape": [1, 1000], "data": [1.0] * 1000}]}
    ).encode()
    head = (
        f"POST /v2/models/negative_float32/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    while True:
        try:
            with socket.create_connection((LOCAL, address.http_port), TIMEOUT_S) as connection:
                connection.sendall((head.encode() + body)[: chance.randint(1, len(head) + len(body))])
                connection.settimeout(chance.uniform(0.001, 0.02))
                with contextlib.suppress(TimeoutError):
                    connection.recv(1)
            yield "left"
        except OSError:
            yield LOST


def _aborts(address: Address, chance: random.Random) -> Any:
    """Take requests back: before they are sent, in the queue, in the function, after the answer."""
    array = np.arange(4, dtype=np.float32)
    while True:
        with FuturesModelClient(f"grpc://{LOCAL}:{address.grpc_port}", SLOW, max_workers=4) as client:
            futures = [client.infer_sample(array) for _ in range(8)]
            for future in chance.sample(futures, 4):
                with contextlib.suppress(FutureTimeoutError):
                    future.exception(chance.uniform(0, 0.05))
                future.abort()
            for future in futures:
                try:
                    found = future.result(TIMEOUT_S)["same"]
                except (CancelledError, PyTritonClientAbortedError):
                    yield "taken back"
                except PyTritonClientError:
                    yield LOST
                else:
                    assert np.array_equal(found, array), f"{found} instead of {array}"
                    yield "right"


_NONSENSE: Final = (
    (b"{", "negative_float32"),
    (b'{"inputs": []}', "negative_float32"),
    (b'{"inputs": [{"name": "nope", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}', "negative_float32"),
    (
        b'{"inputs": [{"name": "values", "datatype": "INT8", "shape": [1, 1], "data": [1]}]}',
        "negative_float32",
    ),
    (
        b'{"inputs": [{"name": "values", "datatype": "FP32", "shape": [1, 9], "data": [1]}]}',
        "negative_float32",
    ),
    (
        b'{"inputs": [{"name": "values", "datatype": "FP32", "shape": [99, 1], "data": [1]}]}',
        "negative_float32",
    ),
    (b'{"inputs": [{"name": "values", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}', "unknown"),
)


def _malformed(address: Address, chance: random.Random) -> Any:
    while True:
        body, name = chance.choice(_NONSENSE)
        try:
            reply = address.request("POST", f"/v2/models/{name}/infer", body)
        except (OSError, http.client.HTTPException):
            yield LOST
            continue
        # Of a shape that does not fit its data the server says 500.
        assert reply.status in (400, 404, 500, *_RETRIABLE), f"{body!r}: {reply.status}"
        yield LOST if reply.status in _RETRIABLE else "refused"


KINDS: Final[dict[str, Callable[[Address, random.Random], Any]]] = {
    "http": _numbers("http"),
    "grpc": _numbers("grpc"),
    "processes": _numbers("http", IN_PROCESSES),
    "aborts": _aborts,
    "strings": _strings,
    "streams": _streams,
    "leavers": _leavers,
    "malformed": _malformed,
}
