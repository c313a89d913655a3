# SPDX-License-Identifier: Apache-2.0
"""Limits: who is told what when one stands in the way, and that nobody else is disturbed."""

from __future__ import annotations

import contextlib
import queue
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from pytriton.triton import Limits
from tests.helpers.clients import Array, ask, ask_later, inputs_for
from tests.helpers.gate import Gate, plugged, wait_for_queue, wait_until
from tests.helpers.program import started
from tests.helpers.server import TIMEOUT_S, Model, Server
from tests.helpers.streams import sse
from tests.helpers.vectors import Pending, answer, document, echo, gated, times, vector_model

MEGABYTE = 1 << 20


def row(megabytes: float) -> dict[str, Array]:
    return {"INPUT_1": np.ones((1, int(megabytes * MEGABYTE) // 4), np.float32)}


class Keeper:
    """A function that keeps its inputs until it is told otherwise."""

    def __init__(self) -> None:
        self.kept: list[Array] = []

    def __call__(self, requests: list[Any]) -> list[Any]:
        self.kept += [request["INPUT_1"] for request in requests if request["INPUT_1"].size > 1]
        return [{"OUTPUT_1": request["INPUT_1"][:, :1]} for request in requests]


def failures(server: Server, name: str, count: int) -> list[str]:
    """What `count` requests of 1 MB are told that are not answered."""
    futures = [ask_later(server, name, row(1)) for _ in range(count)]
    return [str(error) for future in futures if (error := future.exception(TIMEOUT_S)) is not None]


def test_shared_memory_of_a_model(serve: Callable[..., Server]) -> None:
    """All workers together have so much, whichever of them needs it."""
    keeper = Keeper()
    limited = vector_model("m", [keeper] * 4, max_batch_size=1, shared_memory_bytes=8 * MEGABYTE)
    server = serve(limited, vector_model("other", echo))
    errors = failures(server, "m", 16)
    assert 4 <= len(keeper.kept) <= 8
    assert len(errors) == 16 - len(keeper.kept)
    for error in errors:
        assert "[StatusCode.UNAVAILABLE] no shared memory left for a batch of" in error
        assert f"of {8 * MEGABYTE} bytes are in use by the workers of this model" in error
        assert "raise ModelConfig(shared_memory_bytes=...)" in error
    assert ask(server, "other", row(4)).outputs["OUTPUT_1"].shape == (1, MEGABYTE)
    keeper.kept.clear()
    wait_until(lambda: failures(server, "m", 1) == [], "free memory")
    keeper.kept.clear()


def test_shared_memory_in_all(serve: Callable[..., Server]) -> None:
    keepers = [Keeper(), Keeper()]
    models = [vector_model(f"m{index}", keeper, max_batch_size=1) for index, keeper in enumerate(keepers)]
    server = serve(*models, limits=Limits(shared_memory_bytes=8 * MEGABYTE))
    assert failures(server, "m0", 4) == []
    errors = failures(server, "m1", 8)
    assert errors
    for error in errors:
        assert f"of {8 * MEGABYTE} bytes are in use by all models together" in error
        assert "raise Limits(shared_memory_bytes=...)" in error
    # What one no longer needs is the other's at once.
    for keeper in keepers:
        keeper.kept.clear()
    wait_until(lambda: ask_later(server, "m1", row(6)).exception(TIMEOUT_S) is None, "memory of the other")
    keepers[1].kept.clear()
    assert server.triton.is_alive()


def test_results_beyond_the_limit(serve: Callable[..., Server]) -> None:
    @batch
    def swell(INPUT_1: Array) -> list[Array]:
        return [np.zeros((1, int(INPUT_1[0, 0])), np.float32)]

    server = serve(vector_model("m", swell, shared_memory_bytes=4 * MEGABYTE))
    reply = server.infer("m", document(2 * MEGABYTE))
    assert reply.status == 500
    assert f"the limit is {4 * MEGABYTE} bytes" in reply.error
    assert "ModelConfig(shared_memory_bytes=...) sets it" in reply.error
    assert len(answer(server, "m", 10)) == 10


def test_inputs_beyond_the_limit(serve: Callable[..., Server]) -> None:
    """To send the same request again is of no use, and the error says what is."""
    server = serve(
        vector_model("model", echo, max_batch_size=1, shared_memory_bytes=4 * MEGABYTE),
        vector_model("worker", echo, max_batch_size=1, worker_shared_memory_bytes=4 * MEGABYTE),
        vector_model("other", echo, max_batch_size=1),
        limits=Limits(shared_memory_bytes=8 * MEGABYTE),
    )
    settings = {
        "model": (4, "ModelConfig(shared_memory_bytes=...)"),
        "worker": (4, "ModelConfig(worker_shared_memory_bytes=...)"),
        "other": (8, "Limits(shared_memory_bytes=...)"),
    }
    for name, (limit, setting) in settings.items():
        with pytest.raises(InferenceServerException) as caught:
            ask(server, name, row(limit))
        assert caught.value.status() == "StatusCode.INTERNAL"
        assert f"the limit is {limit * MEGABYTE} bytes: it cannot be served" in caught.value.message()
        assert f"raise {setting}" in caught.value.message()
        assert answer(server, name, 10) == [10]


def test_inputs_and_results_beyond_the_limit(serve: Callable[..., Server]) -> None:
    """Either would fit without the other."""

    @batch
    def grow(INPUT_1: Array) -> list[Array]:
        return [np.zeros((1, 5 * MEGABYTE // 8), np.float32)]

    server = serve(vector_model("m", grow, shared_memory_bytes=4 * MEGABYTE))
    with pytest.raises(InferenceServerException) as caught:
        ask(server, "m", row(2))
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert re.search(
        rf"need 2\d{{6}} bytes .*, 5\d{{6}} bytes with .* the limit is {4 * MEGABYTE}", caught.value.message()
    )
    assert ask(server, "m", row(0.5)).outputs["OUTPUT_1"].shape == (1, 5 * MEGABYTE // 8)


def test_queue_size(serve: Callable[..., Server]) -> None:
    gate = Gate()
    policy = QueuePolicy(max_queue_size=2)
    config = ModelConfig(max_batch_size=1, batcher=DynamicBatcher(default_queue_policy=policy))
    floats = Tensor((-1,), np.float32)
    server = serve(Model("m", gated(gate), [floats], [floats], config))
    with plugged(server, "m", gate, {"INPUT_1": np.ones((1, 1), np.float32)}):
        pending = [Pending(server, "m", value) for value in range(8)]
        # Two in the queue, and at most two on their way from it to the worker.
        wait_until(lambda: sum(request.is_done for request in pending) >= 4, "refusals")
    replies = [request.reply() for request in pending]
    refused = [reply for reply in replies if reply.status != 200]
    assert 4 <= len(refused) <= 6
    assert {reply.status for reply in refused} == {503}
    assert "Exceeds maximum queue size" in refused[0].error
    assert answer(server, "m", 5) == [5]


def test_no_queue_is_forgotten(serve: Callable[..., Server]) -> None:
    """With a queue policy Triton looks half a second later for what came while all workers were busy."""
    gate = Gate()
    config = ModelConfig(
        max_batch_size=1, batcher=DynamicBatcher(default_queue_policy=QueuePolicy(max_queue_size=100))
    )
    floats = Tensor((-1,), np.float32)
    server = serve(Model("m", gated(gate), [floats], [floats], config))
    with plugged(server, "m", gate, {"INPUT_1": np.ones((1, 1), np.float32)}):
        pending = [Pending(server, "m", value) for value in range(24)]
        wait_for_queue(server, "m", 24)
        began = time.monotonic()
    assert [request.reply().status for request in pending] == [200] * 24
    assert time.monotonic() - began < 2.0  # several half seconds otherwise


def test_requests_per_model(serve: Callable[..., Server]) -> None:
    gate = Gate()
    floats = Tensor((-1,), np.float32)
    config = ModelConfig(max_batch_size=1)
    server = serve(
        Model("m", gated(gate), [floats], [floats], config),
        vector_model("other", times(2)),
        limits=Limits(requests_per_model=3),
    )
    plug = {"INPUT_1": np.ones((1, 1), np.float32)}
    with plugged(server, "m", gate, plug):
        pending = [Pending(server, "m", value) for value in range(6)]
        wait_until(lambda: sum(request.is_done for request in pending) == 4, "refusals")
        with pytest.raises(InferenceServerException) as caught:
            ask(server, "m", plug)
        assert answer(server, "other", 5) == [10]
    expected = (
        'model "m" has 3 requests already, as many as Limits(requests_per_model=...) allows; '
        "the request can be sent again"
    )
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert expected in caught.value.message()
    refused = [reply for request in pending if (reply := request.reply()).status != 200]
    assert [(reply.status, reply.error) for reply in refused] == [(503, expected)] * 4
    for value in range(5):
        assert len(answer(server, "m", value)) == 1


def test_answered_requests_of_open_streams_do_not_count(serve: Callable[..., Server]) -> None:
    server = serve(vector_model("m", times(2)), limits=Limits(requests_per_model=2))
    row = {"INPUT_1": np.ones((1, 1), np.float32)}
    with contextlib.ExitStack() as streams:
        for _ in range(4):
            answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
            client = server.grpc()
            client.start_stream(lambda result, error, answers=answers: answers.put((result, error)))
            streams.callback(client.stop_stream)
            client.async_stream_infer("m", inputs_for("grpc", row))
            _, error = answers.get(timeout=TIMEOUT_S)
            assert error is None
        assert answer(server, "m", 5) == [10]


def test_no_limit_of_requests(serve: Callable[..., Server]) -> None:
    server = serve(vector_model("m", times(2)), limits=Limits(requests_per_model=0))
    assert answer(server, "m", 5) == [10]


def test_streams_in_all(serve: Callable[..., Server]) -> None:
    def flood(requests: Any) -> Iterator[Any]:
        array = np.zeros((1, MEGABYTE // 4), np.float32)
        for _ in range(100_000):
            yield [{"OUTPUT_1": array} for _ in requests]

    floats = Tensor((-1,), np.float32)
    config = ModelConfig(decoupled=True)
    server = serve(
        Model("flood", flood, [Tensor((1,), np.float32)], [floats], config),
        limits=Limits(stream_memory_bytes=64 * MEGABYTE),
    )
    with sse(server, "flood", {"INPUT_1": [1]}) as events:
        assert len(next(events)["OUTPUT_1"]) == MEGABYTE // 4
        wait_until(
            lambda: server.statistics("flood")["inference_stats"]["fail"]["count"] == 1,
            "an end",
        )
        last = next(event for event in events if "error" in event)
    assert f"the limit is {64 * MEGABYTE}" in last["error"]
    assert server.triton.is_alive()


def test_drain_timeout(serve: Callable[..., Server], caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.shut()
    server = serve(
        vector_model("m", gated(gate), max_batch_size=1),
        limits=Limits(drain_timeout_s=0.2),
        config={"exit_timeout_secs": 60},
    )
    pending = [Pending(server, "m", 1)]
    gate.wait_for_arrival()
    pending += [Pending(server, "m", 2), Pending(server, "m", 3)]
    wait_for_queue(server, "m", 2)
    server.triton.unbind("m")
    replies = [request.reply() for request in pending]
    gate.open()
    # Those in the queue too are told at once, and that they can be sent again.
    assert [reply.status for reply in replies] == [503] * 3
    assert '3 requests of model "m" version 1 had no answer within the limit of 0.2 s' in caplog.text


def test_few_addresses(tmp_path: Path) -> None:
    with started("has_few_addresses", tmp_path) as program:
        begin = time.monotonic()
        error = program.expect("refused")
        assert time.monotonic() - begin < TIMEOUT_S
        assert f"no room for the {4 << 30} bytes of shared memory" in error
        assert f"address space is limited to {5 << 30} bytes (RLIMIT_AS, ulimit -v); raise that" in error
        assert "ModelConfig(worker_shared_memory_bytes=...)" in error
        assert answer(program.address, "double", 1) == [2]
