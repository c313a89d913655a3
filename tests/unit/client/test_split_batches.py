# SPDX-License-Identifier: Apache-2.0
"""Batches that are sent in parts: the parts have the time of one call, and are one piece of a sequence."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytriton.client import DecoupledModelClient, InferOptions, ModelClient
from pytriton.client._core import inference
from pytriton.client._core.config import config_from_json
from pytriton.client._core.flow import Exchange
from pytriton.client._core.request import Call
from pytriton.client.exceptions import PyTritonClientInputError, PyTritonClientTimeoutError
from tests.helpers.http_peer import CONFIG


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(inference, "time", clock)
    return clock


def parts_of(options: InferOptions, rows: int, answered: Callable[[], None], **settings: Any) -> list[Any]:
    """What is sent for a batch, to a model that takes four rows."""
    config, x = config_from_json(CONFIG), np.ones((rows, 1), np.float32)
    known: Any = {"model_config": config, "ensure_model_is_ready": False, "split_batches": True}
    sent: list[Exchange] = []
    with ModelClient("localhost:1", "m", **known, **settings) as client:
        flow = client._session.infer(Call.create((x,), {}, options=options, is_batch=True))
        step = next(flow)
        while True:
            assert isinstance(step, Exchange)
            sent.append(step)
            answered()
            try:
                step = flow.send({"y": np.ones((1, 1), np.float32)})
            except StopIteration:
                return sent


def test_the_time_of_a_call_is_that_of_all_parts(clock: Clock) -> None:
    def answered() -> None:
        clock.now += 1

    sent = parts_of(InferOptions(timeout_s=5), 12, answered)
    assert [part.timeout_s for part in sent] == [5, 4, 3]


def test_no_part_is_sent_when_the_time_is_over(clock: Clock) -> None:
    answers: collections.Counter[str] = collections.Counter()

    def answered() -> None:
        clock.now += 1
        answers["part"] += 1

    with pytest.raises(PyTritonClientTimeoutError, match=r"2 of 5 parts .* within the 2 s"):
        parts_of(InferOptions(timeout_s=2), 20, answered)
    assert answers["part"] == 2


def test_the_time_of_a_request_is_that_of_each_part(clock: Clock) -> None:
    def answered() -> None:
        clock.now += 1

    assert [part.timeout_s for part in parts_of(InferOptions(), 12, answered, inference_timeout_s=2)] == [
        2
    ] * 3


@pytest.mark.parametrize(("start", "end"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("count", [1, 3])
def test_parts_of_a_sequence(start: bool, end: bool, count: int) -> None:
    options = InferOptions(sequence_id=7, sequence_start=start, sequence_end=end)
    sent = [part.operation.reserved for part in parts_of(options, 4 * count, lambda: None)]
    assert [part["sequence_id"] for part in sent] == [7] * count
    assert [part["sequence_start"] for part in sent] == [start] + [False] * (count - 1)
    assert [part["sequence_end"] for part in sent] == [False] * (count - 1) + [end]


def test_streams_are_not_split() -> None:
    config = config_from_json({**CONFIG, "model_transaction_policy": {"decoupled": True}})
    known: Any = {"model_config": config, "ensure_model_is_ready": False, "split_batches": True}
    with (
        DecoupledModelClient("localhost:1", "m", **known) as client,
        pytest.raises(
            PyTritonClientInputError, match="at most 4; requests of streams are not split"
        ) as caught,
    ):
        client.infer_batch(np.ones((9, 1), np.float32))
    assert "split_batches" not in str(caught.value)
