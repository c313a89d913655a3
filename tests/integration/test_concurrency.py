# SPDX-License-Identifier: Apache-2.0
"""Everything at once: clients, models, dtypes, sizes, failures; every answer is the right one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from tests.helpers.clients import ask, ask_later, pick
from tests.helpers.gate import Gate, plugged, wait_for_queue
from tests.helpers.server import Model, Server, running
from tests.helpers.vectors import (
    TIMEOUT_S,
    Pending,
    answer,
    document,
    outputs,
    times,
    vector_model,
)

Array = npt.NDArray[Any]
CLIENTS = 64
REQUESTS = 12


# --- many clients -----------------------------------------------------------------------------------------


@batch
def sums(numbers: Array, words: Array) -> dict[str, Array]:
    lengths = np.vectorize(len, otypes=[np.int64])(words)
    return {"sum": numbers.sum(axis=1, keepdims=True), "lengths": lengths, "words": words[:, ::-1]}


def reverse(requests: list[Any]) -> list[Any]:
    return [{"reversed": request["data"][:, ::-1]} for request in requests]


async def negate(requests: list[Any]) -> list[Any]:
    return [{"negated": -request["value"]} for request in requests]


MODELS = [
    Model(
        "sums",
        [sums, sums],
        [Tensor(name="numbers", dtype=np.int64, shape=(-1,)), Tensor(name="words", dtype=bytes, shape=(-1,))],
        [
            Tensor(name="sum", dtype=np.int64, shape=(1,)),
            Tensor(name="lengths", dtype=np.int64, shape=(-1,)),
            Tensor(name="words", dtype=bytes, shape=(-1,)),
        ],
        ModelConfig(max_batch_size=32, batcher=DynamicBatcher(max_queue_delay_microseconds=500)),
    ),
    Model(
        "reverse",
        reverse,
        [Tensor(name="data", dtype=np.uint8, shape=(-1,))],
        [Tensor(name="reversed", dtype=np.uint8, shape=(-1,))],
        ModelConfig(max_batch_size=64),
    ),
    Model(
        "negate",
        [negate, negate, negate],
        [Tensor(name="value", dtype=np.float64, shape=(-1, -1))],
        [Tensor(name="negated", dtype=np.float64, shape=(-1, -1))],
        ModelConfig(batching=False),
    ),
]


def ask_sums(server: Server, random: np.random.Generator) -> None:
    rows, columns = random.integers(1, 5), random.integers(1, 40)
    numbers = random.integers(-1000, 1000, (rows, columns))
    words = np.array(
        [[random.bytes(int(random.integers(30))) for _ in range(3)] for _ in range(rows)], dtype=np.object_
    )
    found = ask(server, "sums", {"numbers": numbers, "words": words}).outputs
    np.testing.assert_array_equal(found["sum"], numbers.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(found["words"], words[:, ::-1])
    assert found["lengths"].tolist() == [[len(word) for word in row] for row in words]


def ask_reverse(server: Server, random: np.random.Generator) -> None:
    size = int(random.choice([1, 100, 10_000, 300_000]))
    data = random.integers(0, 256, (random.integers(1, 4), size), dtype=np.uint8)
    found = ask(server, "reverse", {"data": data}).outputs["reversed"]
    np.testing.assert_array_equal(found, data[:, ::-1])


def ask_negate(server: Server, random: np.random.Generator) -> None:
    value = random.normal(size=(random.integers(1, 50), random.integers(1, 50)))
    np.testing.assert_array_equal(ask(server, "negate", {"value": value}).outputs["negated"], -value)


def test_many_clients_of_several_models() -> None:
    ready = threading.Barrier(CLIENTS)

    def be_a_client(server: Server, seed: int) -> None:
        random = np.random.default_rng(seed)
        ready.wait(TIMEOUT_S)
        for _ in range(REQUESTS):
            (ask_sums, ask_reverse, ask_negate)[random.integers(3)](server, random)

    with running(*MODELS) as server, ThreadPoolExecutor(CLIENTS) as clients:
        for client in [clients.submit(be_a_client, server, seed) for seed in range(CLIENTS)]:
            client.result(2 * TIMEOUT_S)


# --- one batch --------------------------------------------------------------------------------------------


def test_one_bad_request_of_a_batch(serve: Callable[..., Server]) -> None:
    gate = Gate()
    sizes: list[int] = []

    def picky(requests: list[Any]) -> list[Any]:
        gate.pass_through()
        sizes.append(len(requests))
        responses: list[Any] = [{"OUTPUT_1": request["INPUT_1"]} for request in requests]
        for response in responses:
            if response["OUTPUT_1"][0, 0] == 3:
                response["OUTPUT_1"] = np.ones((7, 1), np.float32)
        return responses

    server = serve(vector_model("m", picky))
    with plugged(server, "m", gate, {"INPUT_1": np.zeros((1, 1), np.float32)}):
        pending = [Pending(server, "m", value) for value in range(6)]
        wait_for_queue(server, "m", 6)
    replies = [request.reply() for request in pending]
    assert sum(sizes) == 7
    assert [reply.status for reply in replies] == [200, 200, 200, 500, 200, 200]
    assert "expected the batch size 1" in replies[3].error
    assert [outputs(reply) for reply in replies if reply.status == 200] == [[0], [1], [2], [4], [5]]


def test_slow_function_and_many_clients(serve: Callable[..., Server]) -> None:
    gate = Gate()
    sizes: list[int] = []

    @batch
    def slow(INPUT_1: Array) -> list[Array]:
        gate.pass_through()
        sizes.append(len(INPUT_1))
        return [INPUT_1 + 1]

    server = serve(vector_model("m", slow), vector_model("quick", times(2)))
    with plugged(server, "m", gate, {"INPUT_1": np.zeros((1, 1), np.float32)}):
        futures = [ask_later(server, "m", {"INPUT_1": np.full((1, 1), v, np.float32)}) for v in range(64)]
        wait_for_queue(server, "m", 64)
        # The others are served meanwhile.
        assert [answer(server, "quick", value) for value in range(10)] == [[2 * value] for value in range(10)]
    assert [output.item() for output in pick(futures, "OUTPUT_1")] == list(range(1, 65))
    assert max(sizes) == 16
    assert sum(sizes) == 65
    assert len(sizes) < 10


# --- models that come while others serve ------------------------------------------------------------------


def test_bind_while_others_serve(serve: Callable[..., Server]) -> None:
    server = serve(vector_model("first", times(1)))
    enough = threading.Event()
    asked: list[int] = []

    def keep_asking() -> None:
        count = 0
        while not enough.is_set():
            assert answer(server, "first", count) == [count]
            count += 1
        asked.append(count)

    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(keep_asking) for _ in range(4)]
        try:
            for factor in range(2, 12):
                vector_model(f"m{factor}", times(factor)).bind_to(server.triton)
                assert answer(server, f"m{factor}", 1) == [factor]
        finally:
            enough.set()
        for client in asking:
            client.result(TIMEOUT_S)
    assert all(count > 10 for count in asked)


def test_bind_from_many_threads(serve: Callable[..., Server]) -> None:
    server = serve()
    with ThreadPoolExecutor(8) as binders:
        models = [vector_model(f"m{factor}", times(factor)) for factor in range(8)]
        for binder in [binders.submit(model.bind_to, server.triton) for model in models]:
            binder.result(TIMEOUT_S)
    assert [answer(server, f"m{factor}", 1) for factor in range(8)] == [[factor] for factor in range(8)]


def test_stop_while_many_ask(serve: Callable[..., Server]) -> None:
    server = serve(vector_model("m", times(2)))
    enough = threading.Semaphore(0)

    def keep_asking() -> int:
        count = 0
        try:
            while True:
                reply = server.infer("m", document(count))
                if reply.status != 200:
                    return count
                assert outputs(reply) == [2 * count]
                count += 1
                enough.release()
        except OSError:  # the server is gone
            return count

    with ThreadPoolExecutor(8) as clients:
        asking = [clients.submit(keep_asking) for _ in range(8)]
        for _ in range(100):
            assert enough.acquire(timeout=TIMEOUT_S)
        assert server.triton.stop()
        assert sum(client.result(TIMEOUT_S) for client in asking) >= 100
