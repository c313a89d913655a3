# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch, group_by_keys, group_by_values, pad_batch
from pytriton.model_config import ModelConfig
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request, Response
from tests.helpers.kinds import outcomes
from tests.helpers.serving import FLOAT, running_for

ROWS = {"x": np.array([[1], [2], [2]])}
closed: list[int] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    closed.clear()


def counting(x: Any) -> Iterator[Any]:
    try:
        for step in range(int(x[0, 0])):
            yield {"y": x + step}
    finally:
        closed.append(len(x))


async def counting_later(x: Any) -> AsyncIterator[Any]:
    try:
        for step in range(int(x[0, 0])):
            await asyncio.sleep(0)
            yield {"y": x + step}
    finally:
        closed.append(len(x))


async def collect(steps: AsyncIterator[Any], limit: int = 9) -> list[Any]:
    collected = []
    async for step in steps:
        collected.append(step)
        if len(collected) == limit:
            break
    await steps.aclose()  # type: ignore[attr-defined]
    return collected


@pytest.mark.parametrize("function", [counting, lambda x: counting(x)])
def test_groups_that_do_not_end_together(function: Any) -> None:
    steps = group_by_values("x")(function)(**ROWS)
    assert next(steps)["y"].tolist() == [[1], [2], [2]]
    with pytest.raises(ValueError, match=r"equally often.*1 of 2 have ended"):
        next(steps)
    assert sorted(closed) == [1, 2]


@pytest.mark.parametrize("function", [counting_later, lambda x: counting_later(x)])
def test_asynchronous_groups_that_do_not_end_together(function: Any) -> None:
    with pytest.raises(ValueError, match="equally often"):
        asyncio.run(collect(group_by_values("x")(function)(**ROWS)))
    assert sorted(closed) == [1, 2]


def test_closing_closes_all_groups() -> None:
    steps = group_by_values("x")(counting)(**ROWS)
    next(steps)
    steps.close()
    assert sorted(closed) == [1, 2]
    assert len(asyncio.run(collect(group_by_values("x")(counting_later)(**ROWS), limit=1))) == 1
    assert sorted(closed) == [1, 1, 2, 2]


def test_one_group_is_passed_through() -> None:
    for rows in (1, 3):
        steps = list(group_by_values("x")(counting)(x=np.full((rows, 1), 3)))
        assert [step["y"].tolist() for step in steps] == [[[n]] * rows for n in (3, 4, 5)]
    assert list(group_by_values("x")(counting)(x=np.zeros((1, 1)))) == []


def test_coroutines_that_are_not_reached_are_closed() -> None:
    """Else Python warns that they were never awaited, and warnings are errors."""

    async def refuse(x: Any) -> Any:
        raise ArithmeticError

    async def call() -> Any:
        return await group_by_values("x")(lambda x: refuse(x))(**ROWS)

    with pytest.raises(ArithmeticError):
        asyncio.run(call())


def streaming(*, batching: bool = True) -> Any:
    config = ModelConfig(decoupled=True, batching=batching)
    return running_for(TritonModelConfig.create("m", [FLOAT], [FLOAT], config))


def told(responses: Any) -> list[Any]:
    """Values of the responses of one step; None for the end."""
    return [
        None if isinstance(response, Response) and response.final else response["y"].ravel().tolist()
        for response in responses
    ]


@pytest.mark.parametrize("function", [counting, counting_later, lambda x: counting(x)])
@pytest.mark.parametrize("decorate", [lambda function: function, pad_batch, group_by_values("x")])
def test_streams_of_groups_end_each_for_itself(function: Any, decorate: Any) -> None:
    decorated = batch(decorate(group_by_values("x")(function)))
    requests = [Request({"x": np.array([[value]] * rows)}) for value, rows in ((3, 1), (1, 2), (2, 1))]
    with streaming():
        steps = [told(responses) for responses in outcomes(decorated(requests))]
    assert steps == [[[3], [1, 1], [2]], [[4], None, [3]], [[5], None, None]]


def test_padding_leaves_out_groups_that_have_ended() -> None:
    sizes = []

    def pad(results: Any) -> Any:
        sizes.append(len(results))
        return results

    with streaming():
        list(batch(group_by_values("x", pad_fn=pad)(counting))([Request({"x": np.array([[1], [1]])})]))
        list(group_by_values("x", pad_fn=pad)(counting)(**ROWS))
    assert sizes == [1, 2, 1]


def test_rows_of_one_request_end_together() -> None:
    decorated = batch(group_by_values("x")(counting))
    with streaming(), pytest.raises(ValueError, match="Only 2 of 3 rows of request 0 go on"):
        list(decorated([Request(ROWS)]))


def test_decorators_that_do_not_know_do_not_answer_wrongly() -> None:
    @batch
    def function(**inputs: Any) -> Iterator[Any]:
        for outputs in group_by_values("x")(counting)(**inputs):
            yield dict(outputs)

    with streaming(), pytest.raises(ValueError, match=r'batch size 3, but "y" has shape \(2, 1\)'):
        list(function([Request(ROWS)]))


def test_streams_of_other_inputs_end_each_for_itself() -> None:
    @group_by_keys
    @batch
    def function(**inputs: Any) -> Iterator[Any]:
        for step in range(len(inputs)):
            yield {"y": np.full((1, 1), step)}

    one, two = {"x": np.ones((1, 1))}, {"x": np.ones((1, 1)), "z": np.ones((1, 1))}
    with streaming():
        steps = [told(responses) for responses in function([Request(two), Request(one)])]
    assert steps == [[[0], [0]], [[1], None]]
