# SPDX-License-Identifier: Apache-2.0
"""Batches that one worker has in flight side by side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Array
from tests.helpers.clients import ask, ask_later, pick
from tests.helpers.server import TIMEOUT_S, Model
from tests.helpers.streams import grpc_stream, rows, stream

FLOAT = Tensor((1,), np.float32)
COUNT = 8


class Meeting:
    """Coroutines that wait for each other; none gets on before so many have come."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._events: list[asyncio.Event] = []
        self.most = 0

    @batch
    async def wait(self, INPUT_1: Array) -> Any:
        event = asyncio.Event()
        self._events.append(event)
        self.most = max(self.most, len(self._events))
        if len(self._events) == self._count:
            for other in self._events:
                other.set()
        await asyncio.wait_for(event.wait(), TIMEOUT_S)
        return [INPUT_1]


def one_by_one(name: str, function: Any, **options: Any) -> Model:
    return Model(name, function, [FLOAT], [FLOAT], ModelConfig(batcher=None, max_batch_size=1, **options))


@pytest.mark.parametrize("decoupled", [False, True])
def test_coroutines_overlap(serve: Any, decoupled: bool) -> None:
    meeting = Meeting(COUNT)
    server = serve(one_by_one("m", meeting.wait, batches_in_flight=COUNT, decoupled=decoupled))
    values = [float(value) for value in range(COUNT)]
    if decoupled:
        answers: list[float] = []

        def read(value: float) -> None:
            answers.extend(
                event.outputs["OUTPUT_1"].item() for event in stream(server, "m", {"INPUT_1": rows(value)})
            )

        readers = [threading.Thread(target=read, args=(value,)) for value in values]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert sorted(answers) == values
    else:
        futures = [ask_later(server, "m", {"INPUT_1": rows(value)}) for value in values]
        assert [array.item() for array in pick(futures, "OUTPUT_1")] == values
    assert meeting.most == COUNT


def test_one_batch_at_a_time_unless_asked(serve: Any) -> None:
    running, most = 0, 0

    @batch
    async def function(INPUT_1: Array) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10):
            await asyncio.sleep(0.001)
        running -= 1
        return [INPUT_1]

    server = serve(one_by_one("m", function))
    futures = [ask_later(server, "m", {"INPUT_1": rows(value)}) for value in range(COUNT)]
    assert [array.item() for array in pick(futures, "OUTPUT_1")] == list(range(COUNT))
    assert most == 1


def test_no_more_than_allowed(serve: Any) -> None:
    meeting = Meeting(3)
    server = serve(one_by_one("m", meeting.wait, batches_in_flight=3))
    futures = [ask_later(server, "m", {"INPUT_1": rows(value)}) for value in range(3)]
    assert [array.item() for array in pick(futures, "OUTPUT_1")] == [0, 1, 2]


def test_functions_get_one_batch_after_the_other(serve: Any) -> None:
    """The next batches are in shared memory by then."""
    order: list[float] = []

    @batch
    def function(INPUT_1: Array) -> Any:
        order.append(INPUT_1.item())
        return [INPUT_1]

    server = serve(one_by_one("m", function, batches_in_flight=4))
    futures = [ask_later(server, "m", {"INPUT_1": rows(value)}) for value in range(100)]
    assert [array.item() for array in pick(futures, "OUTPUT_1")] == list(range(100))
    assert sorted(order) == list(range(100))


def test_errors_of_one_are_not_those_of_others(serve: Any) -> None:
    @batch
    async def function(INPUT_1: Array) -> Any:
        await asyncio.sleep(0.001)
        if INPUT_1.item() % 2:
            raise ValueError("it is odd")
        return [INPUT_1]

    server = serve(one_by_one("m", function, batches_in_flight=4))
    futures = [ask_later(server, "m", {"INPUT_1": rows(value)}) for value in range(20)]
    for value, future in enumerate(futures):
        if value % 2:
            assert "it is odd" in str(future.exception(TIMEOUT_S))
        else:
            assert future.result(TIMEOUT_S)["OUTPUT_1"].item() == value


def test_generators_that_use_an_event_loop_of_their_own(serve: Any) -> None:
    @batch
    def function(INPUT_1: Array) -> Iterator[Any]:
        for _ in range(3):
            yield [INPUT_1 + asyncio.run(asyncio.sleep(0, 1))]

    server = serve(Model("m", function, [FLOAT], [FLOAT], ModelConfig(decoupled=True)))
    assert [event.outputs["OUTPUT_1"].item() for event in stream(server, "m", {"INPUT_1": rows(1)})] == [
        2,
        2,
        2,
    ]


def test_unbinding_ends_with_the_streams(serve: Any) -> None:
    """What was accepted is finished."""
    begun, go_on = threading.Event(), threading.Event()

    @batch
    def function(INPUT_1: Array) -> Iterator[Any]:
        yield [INPUT_1]
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        yield [INPUT_1 + 1]

    server = serve(
        Model("m", function, [FLOAT], [FLOAT], ModelConfig(decoupled=True)),
        Model("other", batch(lambda INPUT_1: [INPUT_1]), [FLOAT], [FLOAT]),
    )
    answers: list[float] = []
    reader = threading.Thread(
        target=lambda: answers.extend(
            event.outputs["OUTPUT_1"].item() for event in stream(server, "m", {"INPUT_1": rows(1)})
        )
    )
    reader.start()
    assert begun.wait(TIMEOUT_S)
    unbinding = threading.Thread(target=server.triton.unbind, args=("m",))
    unbinding.start()
    assert ask(server, "other", {"INPUT_1": rows(5)}).outputs["OUTPUT_1"].item() == 5
    go_on.set()
    reader.join(TIMEOUT_S)
    unbinding.join(TIMEOUT_S)
    assert answers == [1, 2]
    assert not unbinding.is_alive()


def test_streams_one_at_a_time(serve: Any) -> None:
    running, most = 0, 0

    @batch
    def function(INPUT_1: Array) -> Iterator[Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for index in range(3):
            yield [INPUT_1 + index]
        running -= 1

    server = serve(one_by_one("m", function, decoupled=True, batches_in_flight=1))
    with grpc_stream(server) as opened:
        for value in range(10):
            opened.send("m", {"INPUT_1": rows(value)}, str(value))
        seen: dict[str, list[float]] = {}
        ended = 0
        while ended < 10:
            event = opened.receive()
            if event.final:
                ended += 1
            else:
                seen.setdefault(event.request_id, []).append(event.outputs["OUTPUT_1"].item())
    assert seen == {str(value): [value, value + 1, value + 2] for value in range(10)}
    assert most == 1
