# SPDX-License-Identifier: Apache-2.0
"""What the server makes of requests that wait: batches, refusals, an order; all of it seen by its effect."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import chain
from typing import Any, Final

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch, sample
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from pytriton.model_config.common import TimeoutAction
from pytriton.request import Request
from tests.helpers.clients import Array, ask, ask_later, pick
from tests.helpers.gate import Gate, plugged, wait_for_queue, wait_until
from tests.helpers.server import TIMEOUT_S, Model, Server, running

_VALUES: Final = [Tensor((-1,), np.float32, "values")]
_RESULT: Final = [Tensor((-1,), np.float32, "result")]
_FAR_AWAY_US: Final = 60 * 1000 * 1000
_MOMENT_US: Final = 50 * 1000

gate = Gate()
batches: list[list[float]] = []


def note(requests: list[Request]) -> list[dict[str, Array]]:
    """Add the first values of the requests to `batches`."""
    batches.append([float(request["values"].ravel()[0]) for request in requests])
    gate.pass_through()
    return [{"result": request["values"] * 2} for request in requests]


@batch
def note_rows(values: Array) -> dict[str, Array]:
    batches.append(values[:, 0].tolist())
    gate.pass_through()
    return {"result": values * 2}


@sample
def note_sample(values: Array) -> dict[str, Array]:
    batches.append(values[:1].tolist())
    gate.pass_through()
    return {"result": values * 2}


def wait_for_zero(requests: list[Request]) -> list[dict[str, Array]]:
    """Like `note`, but nothing waits at the gate except the number 0."""
    numbers = [float(request["values"].ravel()[0]) for request in requests]
    batches.append(numbers)
    if 0 in numbers:
        gate.pass_through()
    return [{"result": request["values"] * 2} for request in requests]


class Crowd:
    """Functions that only return once all of them are running."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)
        self.members: list[Callable[..., Any]] = [self._member(index) for index in range(size)]
        self.served_by: list[int] = []

    def _member(self, index: int) -> Callable[..., Any]:
        def member(requests: list[Request]) -> list[dict[str, Array]]:
            self.barrier.wait(TIMEOUT_S)
            self.served_by.append(index)
            return [{"result": request["values"] * 2} for request in requests]

        return member


crowd = Crowd(4)


def _model(
    name: str, batcher: DynamicBatcher | None = None, function: Any = note, max_batch_size: int = 8
) -> Model:
    config = ModelConfig(max_batch_size=max_batch_size, batcher=batcher)
    return Model(name, function, _VALUES, _RESULT, config)


def _models() -> Iterator[Model]:
    yield _model("dynamic", DynamicBatcher())
    yield _model("dynamic_rows", DynamicBatcher(), note_rows)
    yield _model("one_by_one", None)
    yield _model("patient", DynamicBatcher(max_queue_delay_microseconds=_FAR_AWAY_US))
    yield _model(
        "preferred", DynamicBatcher(max_queue_delay_microseconds=_FAR_AWAY_US, preferred_batch_size=[3])
    )
    for name, function in (("unbatched", note), ("unbatched_sample", note_sample)):
        yield Model(name, function, _VALUES, _RESULT, ModelConfig(batching=False, max_batch_size=128))
    yield _model("crowd", DynamicBatcher(), crowd.members, max_batch_size=1)
    yield _model("short_queue", DynamicBatcher(default_queue_policy=QueuePolicy(max_queue_size=2)))
    hurried = QueuePolicy(default_timeout_microseconds=_MOMENT_US)
    yield _model("hurried", DynamicBatcher(default_queue_policy=hurried))
    own = QueuePolicy(default_timeout_microseconds=_FAR_AWAY_US, allow_timeout_override=True)
    yield _model("own_timeout", DynamicBatcher(default_queue_policy=own))
    fixed = dataclasses.replace(own, allow_timeout_override=False)
    yield _model("fixed_timeout", DynamicBatcher(default_queue_policy=fixed), max_batch_size=1)
    yield _model("brief", DynamicBatcher(max_queue_delay_microseconds=_MOMENT_US))
    by_priority = DynamicBatcher(
        priority_levels=2,
        default_priority_level=1,
        default_queue_policy=QueuePolicy(default_timeout_microseconds=_FAR_AWAY_US),
        priority_queue_policy={2: hurried},
    )
    yield _model("hurried_if_unimportant", by_priority)
    priorities = DynamicBatcher(
        priority_levels=3,
        default_priority_level=2,
        priority_queue_policy={3: QueuePolicy(max_queue_size=1)},
    )
    yield _model("priorities", priorities, max_batch_size=1)
    demoted = dataclasses.replace(own, timeout_action=TimeoutAction.DELAY)
    yield _model("demoted", DynamicBatcher(default_queue_policy=demoted), max_batch_size=1)
    for name, ordered in (("ordered", True), ("unordered", False)):
        functions = [wait_for_zero, wait_for_zero]
        yield _model(name, DynamicBatcher(preserve_ordering=ordered), functions, max_batch_size=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*_models()) as server:
        yield server


@pytest.fixture(autouse=True)
def forget() -> None:
    batches.clear()


def _row(number: float, columns: int = 1) -> dict[str, Array]:
    return {"values": np.full((1, columns), number, np.float32)}


def _send(server: Server, model: str, count: int, **options: Any) -> list[Future[dict[str, Array]]]:
    return [ask_later(server, model, _row(number), **options) for number in range(1, count + 1)]


def _error(future: Future[dict[str, Array]]) -> InferenceServerException:
    error = future.exception(TIMEOUT_S)
    assert isinstance(error, InferenceServerException)
    return error


def _wait_for_failures(server: Server, model: str, count: int) -> None:
    failed = "nv_inference_request_failure"
    wait_until(lambda: server.metrics(model).get(failed) == count, f"{count} failures")


@pytest.mark.parametrize("model", ["dynamic", "dynamic_rows"])
def test_requests_that_wait_are_merged(server: Server, model: str) -> None:
    with plugged(server, model, gate, _row(0)):
        futures = _send(server, model, 8)
        wait_for_queue(server, model, 8)
    assert [array.item() for array in pick(futures, "result")] == [2.0 * number for number in range(1, 9)]
    assert [sorted(numbers) for numbers in batches] == [[0], list(range(1, 9))]


def test_no_batch_is_larger_than_the_maximum(server: Server) -> None:
    with plugged(server, "dynamic", gate, _row(0)):
        futures = _send(server, "dynamic", 20)
        wait_for_queue(server, "dynamic", 20)
    pick(futures, "result")
    sizes = [len(numbers) for numbers in batches]
    # Where the queue is cut is the server's choice.
    assert (sizes[0], sum(sizes), max(sizes)) == (1, 21, 8)
    assert len(sizes) <= 6


def test_rows_count_and_not_requests(server: Server) -> None:
    with plugged(server, "dynamic_rows", gate, _row(0)):
        futures = [
            ask_later(server, "dynamic_rows", {"values": np.full((3, 1), number, np.float32)})
            for number in range(4)
        ]
        wait_for_queue(server, "dynamic_rows", 4)
    assert [array.shape for array in pick(futures, "result")] == [(3, 1)] * 4
    sizes = [len(numbers) for numbers in batches]
    assert (sizes[0], sum(sizes), max(sizes)) == (1, 13, 6)


def test_requests_of_other_shapes_are_not_merged(server: Server) -> None:
    with plugged(server, "dynamic", gate, _row(0)):
        futures = [ask_later(server, "dynamic", _row(number, columns=number)) for number in (1, 2, 1, 2, 3)]
        wait_for_queue(server, "dynamic", 5)
    assert [array.shape[1] for array in pick(futures, "result")] == [1, 2, 1, 2, 3]
    for numbers in batches:
        assert len(set(numbers)) == 1


def test_without_a_batcher_requests_come_one_by_one(server: Server) -> None:
    with plugged(server, "one_by_one", gate, _row(0)):
        futures = _send(server, "one_by_one", 5)
        wait_for_queue(server, "one_by_one", 5)
    pick(futures, "result")
    assert [len(numbers) for numbers in batches] == [1] * 6


@pytest.mark.parametrize("model", ["unbatched", "unbatched_sample"])
def test_without_batching_there_is_no_batch_dimension(server: Server, model: str) -> None:
    row = {"values": np.array([1.0, 2.0, 3.0], np.float32)}
    with plugged(server, model, gate, row):
        futures = [ask_later(server, model, row) for _ in range(3)]
        wait_for_queue(server, model, 3)
    assert [array.tolist() for array in pick(futures, "result")] == [[2.0, 4.0, 6.0]] * 3
    assert batches == [[1.0]] * 4


def test_requests_wait_for_others_as_long_as_they_may(server: Server) -> None:
    futures = _send(server, "patient", 7)
    wait_for_queue(server, "patient", 7)
    assert batches == []
    futures += _send(server, "patient", 1)
    pick(futures, "result")
    assert [len(numbers) for numbers in batches] == [8]


def test_requests_do_not_wait_longer_than_they_may(server: Server) -> None:
    begin = time.monotonic()
    assert ask(server, "brief", _row(1)).outputs["result"].item() == 2
    assert time.monotonic() - begin >= _MOMENT_US / 1e6


def test_a_preferred_size_is_not_waited_beyond(server: Server) -> None:
    futures = _send(server, "preferred", 2)
    wait_for_queue(server, "preferred", 2)
    assert batches == []
    futures += _send(server, "preferred", 1)
    pick(futures, "result")
    assert [len(numbers) for numbers in batches] == [3]


def test_functions_of_a_model_run_side_by_side(server: Server) -> None:
    pick(_send(server, "crowd", 4), "result")
    assert sorted(crowd.served_by) == [0, 1, 2, 3]


def test_functions_of_a_model_share_its_queue(server: Server) -> None:
    # One of the two is busy, and nothing waits for it.
    with plugged(server, "unordered", gate, _row(0)):
        pick(_send(server, "unordered", 8), "result")
    assert [len(numbers) for numbers in batches] == [1] * 9


def test_a_full_queue_refuses_requests(server: Server) -> None:
    with plugged(server, "short_queue", gate, _row(0)):
        futures = _send(server, "short_queue", 2)
        wait_for_queue(server, "short_queue", 2)
        with pytest.raises(InferenceServerException, match="Exceeds maximum queue size") as caught:
            ask(server, "short_queue", _row(9))
        assert caught.value.status() == "StatusCode.UNAVAILABLE"
        with pytest.raises(InferenceServerException, match="Exceeds maximum queue size") as caught:
            ask(server, "short_queue", _row(9), "binary")
        assert caught.value.status() == "503"
    pick(futures, "result")
    assert ask(server, "short_queue", _row(4)).outputs["result"].item() == 8
    assert sorted(chain(*batches)) == [0, 1, 2, 4]


def test_requests_that_waited_too_long_are_refused(server: Server) -> None:
    with plugged(server, "hurried", gate, _row(0)):
        futures = _send(server, "hurried", 2)
        tensor = {"name": "values", "shape": [1, 1], "datatype": "FP32", "data": [9]}
        reply = server.infer("hurried", {"inputs": [tensor]})
        assert reply.status == 503
        assert "Request timeout expired" in reply.error
        for future in futures:
            assert "Request timeout expired" in str(_error(future))
            assert _error(future).status() == "StatusCode.UNAVAILABLE"
    assert ask(server, "hurried", _row(4)).outputs["result"].item() == 8
    assert batches == [[0], [4]]


def test_requests_may_bring_their_own_timeout(server: Server) -> None:
    with plugged(server, "own_timeout", gate, _row(0)):
        patient, hurried = (
            ask_later(server, "own_timeout", _row(1)),
            _send(server, "own_timeout", 1, timeout=1000)[0],
        )
        assert "Request timeout expired" in str(_error(hurried))
    assert patient.result(TIMEOUT_S)["result"].item() == 2


def test_timeouts_of_their_own_may_be_ignored(server: Server) -> None:
    with plugged(server, "fixed_timeout", gate, _row(0)), plugged(server, "own_timeout", gate, _row(0)):
        impatient = ask_later(server, "fixed_timeout", _row(1), timeout=1000)
        wait_for_queue(server, "fixed_timeout", 1)
        # When this one is refused, the time of the first one has run out as well.
        assert "Request timeout expired" in str(
            _error(ask_later(server, "own_timeout", _row(3), timeout=1000))
        )
    assert impatient.result(TIMEOUT_S)["result"].item() == 2


def test_every_priority_has_its_own_policy(server: Server) -> None:
    model = "hurried_if_unimportant"
    with plugged(server, model, gate, _row(0)):
        important = [ask_later(server, model, _row(1), priority=1), ask_later(server, model, _row(2))]
        unimportant = ask_later(server, model, _row(3), priority=2)
        assert "Request timeout expired" in str(_error(unimportant))
    assert [array.item() for array in pick(important, "result")] == [2, 4]
    assert sorted(chain(*batches)) == [0, 1, 2]


def test_important_requests_go_first(server: Server) -> None:
    levels = {10: 3, 20: 2, 30: 1, 40: 0}  # 0 is the default, which is 2 here
    with plugged(server, "priorities", gate, _row(0)):
        futures = []
        for position, (number, level) in enumerate(levels.items(), start=1):
            futures.append(ask_later(server, "priorities", _row(number), priority=level))
            wait_for_queue(server, "priorities", position)
        with pytest.raises(InferenceServerException, match="Exceeds maximum queue size"):
            ask(server, "priorities", _row(9), priority=3)
    pick(futures, "result")
    assert list(chain(*batches)) == [0, 30, 20, 40, 10]


def test_requests_that_waited_too_long_may_be_served_last(server: Server) -> None:
    with plugged(server, "demoted", gate, _row(0)), plugged(server, "own_timeout", gate, _row(0)):
        late = ask_later(server, "demoted", _row(1), timeout=1000)
        wait_for_queue(server, "demoted", 1)
        on_time = ask_later(server, "demoted", _row(2))
        wait_for_queue(server, "demoted", 2)
        # When this one is refused, the time of the first one has run out as well.
        assert "Request timeout expired" in str(
            _error(ask_later(server, "own_timeout", _row(3), timeout=1000))
        )
    pick([late, on_time], "result")
    assert batches[2:] == [[2], [1]]


@pytest.mark.parametrize("model", ["ordered", "unordered"])
def test_responses_may_keep_the_order_of_requests(server: Server, model: str) -> None:
    answered: list[float] = []

    def send(number: float) -> Future[dict[str, Array]]:
        future = ask_later(server, model, _row(number))
        future.add_done_callback(lambda done: answered.append(done.result()["result"].item()))
        return future

    gate.shut()
    try:
        futures = [send(0)]
        gate.wait_for_arrival()
        futures.append(send(1))
        wait_until(lambda: [1] in batches, "the second request")
        if model == "unordered":
            futures[1].result(TIMEOUT_S)
    finally:
        gate.open()
    pick(futures, "result")
    assert answered == ([0, 2] if model == "ordered" else [2, 0])
