# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.request import ParameterValue, RequestBatch
from pytriton.worker.callables import Caller


class Records:
    def __len__(self) -> int:
        return 1

    def rows(self) -> list[int]:
        return [2]

    def parameters(self, index: int) -> dict[str, ParameterValue]:
        return {}

    def requested_output_names(self, index: int) -> list[str]:
        return ["y"]

    def trace_context(self, index: int) -> str:
        return ""

    def id(self, index: int) -> str:
        return f"id-{index}"

    def timeout_us(self, index: int) -> int:
        return index * 1_000_000

    def received_ns(self) -> int:
        return 0

    def is_cancelled(self, index: int) -> bool:
        return False


class Model:
    def __call__(self, requests: Any) -> Any:
        return answer(requests)

    async def infer_later(self, requests: Any) -> Any:
        return answer(requests)


def make_batch() -> RequestBatch:
    return RequestBatch({"x": np.ones((2, 3))}, Records(), total_rows=2, batching=True)


def answer(requests: Any) -> Any:
    assert type(requests) is list
    return [{"y": request["x"]} for request in requests]


async def later(requests: Any) -> Any:
    await asyncio.sleep(0)
    return answer(requests)


def once(requests: Any) -> Iterator[Any]:
    yield answer(requests)


async def once_later(requests: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    yield answer(requests)


class Awaitable:
    """Awaitable without being a coroutine."""

    def __init__(self, requests: Any) -> None:
        self._requests = requests

    def __await__(self) -> Any:
        return later(self._requests).__await__()


def call(function: Callable[..., Any]) -> Any:
    caller = Caller(function)
    try:
        return caller.call(make_batch())
    finally:
        caller.close()


@pytest.mark.parametrize(
    "function",
    [
        answer,
        lambda requests: answer(requests),
        Model(),
        functools.partial(answer),
        later,
        lambda requests: later(requests),
        functools.partial(later),
        Model().infer_later,
        Awaitable,
        once,
        lambda requests: once(requests),
        functools.partial(once),
        once_later,
        functools.partial(once_later),
    ],
)
def test_every_kind(function: Callable[..., Any]) -> None:
    (response,) = call(function)
    assert response["y"].shape == (2, 3)


@batch
async def batch_later(x: Any) -> Any:
    return {"y": x}


@batch
def batch_once(x: Any) -> Iterator[Any]:
    yield {"y": x}


@batch
async def batch_once_later(x: Any) -> AsyncIterator[Any]:
    yield {"y": x}


@pytest.mark.parametrize("function", [batch_later, batch_once, batch_once_later, batch(lambda x: {"y": x})])
def test_every_kind_of_batch_function(function: Callable[..., Any]) -> None:
    assert call(function).outputs["y"].shape == (2, 3)


@pytest.mark.parametrize("times", [0, 2])
@pytest.mark.parametrize("is_async", [False, True])
def test_generators_that_do_not_yield_once(times: int, is_async: bool) -> None:
    closed = []

    def steps(requests: Any) -> Iterator[Any]:
        try:
            for _ in range(times):
                yield answer(requests)
        finally:
            closed.append(True)

    async def steps_later(requests: Any) -> AsyncIterator[Any]:
        try:
            for _ in range(times):
                yield answer(requests)
        finally:
            closed.append(True)

    with pytest.raises(ValueError, match=r"yielded (nothing|more than once).*decoupled=True"):
        call(steps_later if is_async else steps)
    assert closed == [True]


def test_other_results_are_passed_on() -> None:
    assert call(lambda requests: None) is None
    assert call(lambda requests: (1,)) == (1,)


@pytest.mark.parametrize("error", [KeyError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_coroutines_that_raise_leave_the_loop_alive(error: type[BaseException]) -> None:
    raising = True

    async def function(requests: Any) -> Any:
        await asyncio.sleep(0)
        if raising:
            raise error("why")
        return answer(requests)

    caller = Caller(function)
    with pytest.raises(error, match="why"):
        caller.call(make_batch())
    raising = False
    assert caller.call(make_batch())
    caller.close()


def test_loop_is_kept_between_batches() -> None:
    loops = []

    async def function(requests: Any) -> Any:
        loops.append(asyncio.get_running_loop())
        return answer(requests)

    caller = Caller(function)
    caller.call(make_batch())
    caller.call(make_batch())
    caller.close()
    assert loops[0] is loops[1]
    assert loops[0].is_closed()


@pytest.mark.parametrize("stray", [SystemExit(3), KeyboardInterrupt()])
def test_what_comes_out_of_another_task_is_no_result(
    stray: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = []

    async def leave() -> None:
        raise stray

    async def function(requests: Any) -> Any:
        tasks.append(asyncio.get_running_loop().create_task(leave()))
        await asyncio.wait(tasks)
        return answer(requests)

    caller = Caller(function)
    assert caller.call(make_batch())
    caller.close()
    assert tasks[0].exception() is stray
    assert "A task that a coroutine had left behind has ended" in caplog.text
    assert type(stray).__name__ in caplog.text


def test_what_comes_out_of_a_task_at_the_end_leaves_no_other_behind() -> None:
    ended = []

    async def leave(index: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(index)
            raise SystemExit(3)

    async def function(requests: Any) -> Any:
        tasks = [asyncio.get_running_loop().create_task(leave(index)) for index in range(2)]
        await asyncio.sleep(0)
        assert len(tasks) == 2
        return answer(requests)

    caller = Caller(function)
    caller.call(make_batch())
    caller.close()
    assert sorted(ended) == [0, 1]


def test_closing_cancels_what_is_left() -> None:
    cancelled = []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    tasks = []

    async def function(requests: Any) -> Any:
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)
        return answer(requests)

    caller = Caller(function)
    caller.call(make_batch())
    caller.close()
    caller.close()
    assert cancelled == [True]
