# SPDX-License-Identifier: Apache-2.0
"""Clients of many kinds, each of which checks every answer that it gets and counts what it saw."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from pytriton.client import DecoupledModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientError
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.server import LOCAL, TIMEOUT_S, Address, Model

__all__ = ["KINDS", "Traffic", "models"]

_DTYPES: Final = (np.float32, np.float64, np.int8, np.int32, np.uint16, np.bool_)
_SIZES: Final = (1, 3, 100, 10_000, 300_000)
_LOST: Final = "lost with the server"
_RETRIABLE: Final = (503,)


@batch
def _negative(values: Any) -> list[Any]:
    return [np.logical_not(values) if values.dtype == np.bool_ else (0 - values).astype(values.dtype)]


@batch
def _reverse(texts: Any) -> list[Any]:
    return [np.array([[text[::-1] for text in row] for row in texts], dtype=object)]


def _count(requests: list[Any]) -> Iterator[list[Any]]:
    (request,) = requests
    start, steps = (int(number) for number in request["range"])
    for number in range(start, start + steps):
        yield [{"number": np.array([number], np.int64)}]


def models() -> list[Model]:
    """What is asked: numbers of each type, strings, streams."""
    config = ModelConfig(max_batch_size=16)
    numbers = [
        Model(
            f"negative_{np.dtype(dtype).name}",
            [_negative, _negative],
            [Tensor((-1,), dtype, "values")],
            [Tensor((-1,), dtype, "negative")],
            config,
        )
        for dtype in _DTYPES
    ]
    strings = Model(
        "reverse", _reverse, [Tensor((-1,), bytes, "texts")], [Tensor((-1,), bytes, "reversed")], config
    )
    stream = Model(
        "count",
        _count,
        [Tensor((2,), np.int64, "range")],
        [Tensor((1,), np.int64, "number")],
        ModelConfig(batching=False, decoupled=True),
    )
    return [*numbers, strings, stream]


class Traffic:
    """Clients in threads, until they are told to stop; what was wrong is kept word for word."""

    def __init__(self, address: Address, seed: int = 0) -> None:
        self._address = address
        self._seed = seed
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.wrong: queue.SimpleQueue[str] = queue.SimpleQueue()

    def start(self, clients_of_a_kind: int) -> None:
        """Begin to ask."""
        for number in range(clients_of_a_kind):
            for kind in KINDS:
                name = f"{kind}-{number}"
                self._threads.append(threading.Thread(target=self._run, args=(kind, name), name=name))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every client finish what it has begun."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(3 * TIMEOUT_S)
            if thread.is_alive():
                self.wrong.put(f"{thread.name} hangs")

    def problems(self) -> list[str]:
        """What was wrong since the last look."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self.wrong.get_nowait())
        return found

    def _run(self, kind: str, name: str) -> None:
        chance = random.Random(f"{self._seed} {name}")
        client = KINDS[kind](self._address, chance)
        with contextlib.closing(client):
            while not self._stopped.is_set():
                try:
                    outcome = next(client)
                except AssertionError as error:
                    self.wrong.put(f"{name}: {error}")
                    return
                except Exception as error:
                    self.wrong.put(f"{name}: {error!r}")
                    return
                with self._lock:
                    self.counts[f"{kind}: {outcome}"] += 1


Outcomes = Iterator[str]


def _array(chance: random.Random) -> Any:
    dtype = np.dtype(chance.choice(_DTYPES))
    numbers = np.random.default_rng(chance.getrandbits(32))
    shape = (chance.randint(1, 3), chance.choice(_SIZES))
    return numbers.integers(0, 100, shape).astype(dtype)


def _expected(array: Any) -> Any:
    return np.logical_not(array) if array.dtype == np.bool_ else (0 - array).astype(array.dtype)


def _numbers(scheme: str) -> Callable[[Address, random.Random], Any]:
    def ask(address: Address, chance: random.Random) -> Any:
        port = address.http_port if scheme == "http" else address.grpc_port
        while True:
            array = _array(chance)
            name = f"negative_{array.dtype.name}"
            try:
                with ModelClient(f"{scheme}://{LOCAL}:{port}", name, inference_timeout_s=TIMEOUT_S) as client:
                    for _ in range(20):
                        found = client.infer_batch(array)["negative"]
                        assert found.dtype == array.dtype, f"{found.dtype} instead of {array.dtype}"
                        assert np.array_equal(found, _expected(array)), f"wrong numbers of {array.shape}"
                        yield "right"
            except PyTritonClientError:
                yield _LOST

    return ask


def _strings(address: Address, chance: random.Random) -> Any:
    while True:
        texts = ["".join(chance.choices("abcdef", k=chance.randint(0, 50))) for _ in range(5)]
        body = {"inputs": [{"name": "texts", "datatype": "BYTES", "shape": [1, 5], "data": texts}]}
        try:
            reply = address.infer("reverse", body)
        except (OSError, http.client.HTTPException):
            yield _LOST
            continue
        if reply.status in _RETRIABLE:
            yield _LOST
            continue
        assert reply.status == 200, f"strings: {reply.status} {reply.body!r}"
        expected = [text[::-1] for text in texts]
        data = reply.json["outputs"][0]["data"]
        assert data == expected, f"{data} instead of {expected}"
        yield "right"


def _streams(address: Address, chance: random.Random) -> Any:
    while True:
        start, steps = chance.randint(0, 10**9), chance.randint(0, 300)
        leaves_after = chance.choice([None, None, chance.randint(0, 20)])
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
            yield _LOST
            continue
        if leaves_after is None or leaves_after > steps:
            assert seen == steps, f"a stream of {steps} ended after {seen}"
            yield "whole"
        else:
            yield "left"


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
            yield "left"
        except OSError:
            yield _LOST


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
            yield _LOST
            continue
        # Of a shape that does not fit its data the server says 500.
        assert 400 <= reply.status <= 503, f"{body!r}: {reply.status}"
        yield "refused"


KINDS: Final[dict[str, Callable[[Address, random.Random], Any]]] = {
    "http": _numbers("http"),
    "grpc": _numbers("grpc"),
    "strings": _strings,
    "streams": _streams,
    "leavers": _leavers,
    "malformed": _malformed,
}
