# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import group_by_values

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
