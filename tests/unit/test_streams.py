# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.exceptions import ErrorCode, PyTritonInferenceError, PyTritonUnrecoverableError
from pytriton.request import Array, Response
from pytriton.worker import layout
from tests.helpers.fake_backend import Answer, FakeRequest
from tests.helpers.serving import Served, requests_of, serving

ROW = np.arange(4, dtype=np.float32).reshape(1, 4)
TIMEOUT_S = 20


def streaming(function: Callable[..., Any], **options: Any) -> Any:
    return serving(function, decoupled=True, **{"batches_in_flight": 8, **options})


def steps_of(served: Served, slot: int) -> list[Answer]:
    """Everything that a batch alone in flight gives, the final message last."""
    steps = [served.link.answer()]
    while not steps[-1].message.flags & layout.FINAL:
        steps.append(served.link.answer())
    assert {step.message.slot for step in steps} == {slot}
    return steps


def run(served: Served, *arrays: Array) -> list[Answer]:
    return steps_of(served, served.execute(*requests_of(*arrays)))


@batch
def three(INPUT_1: Array) -> Iterator[Any]:
    for index in range(3):
        yield [INPUT_1 + index]


@batch
async def three_async(INPUT_1: Array) -> AsyncIterator[Any]:
    for index in range(3):
        await asyncio.sleep(0)
        yield [INPUT_1 + index]


def three_in_lists(requests: Any) -> Iterator[Any]:
    for index in range(3):
        yield [{"OUTPUT_1": request["INPUT_1"] + index} for request in requests]


async def three_in_lists_async(requests: Any) -> AsyncIterator[Any]:
    for step in three_in_lists(requests):
        yield step


@pytest.mark.parametrize("function", [three, three_async])
def test_a_message_for_each_step_and_one_for_the_end(function: Callable[..., Any]) -> None:
    with streaming(function) as served:
        for _ in range(2):
            *steps, end = run(served, ROW, ROW)
            for index, step in enumerate(steps):
                np.testing.assert_array_equal(step.output(), np.repeat(ROW, 2, axis=0) + index)
            assert len(steps) == 3
            assert end.message.length == 0
            assert end.released


@pytest.mark.parametrize("function", [three_in_lists, three_in_lists_async])
def test_lists(function: Callable[..., Any]) -> None:
    with streaming(function) as served:
        *steps, end = run(served, ROW, ROW + 10)
        assert len(steps) == 3
        for index, step in enumerate(steps):
            np.testing.assert_array_equal(step.output(request=0), ROW + index)
            np.testing.assert_array_equal(step.output(request=1), ROW + 10 + index)
        assert end.released


@batch
def plain(INPUT_1: Array) -> Any:
    return [INPUT_1]


@batch
async def coroutine(INPUT_1: Array) -> Any:
    await asyncio.sleep(0)
    return [INPUT_1]


@pytest.mark.parametrize("function", [plain, coroutine])
def test_functions_give_one_response_and_the_end(function: Callable[..., Any]) -> None:
    with streaming(function) as served:
        (only,) = run(served, ROW)
        np.testing.assert_array_equal(only.output(), ROW)
        assert only.released


def empty(requests: Any) -> Iterator[Any]:
    yield from ()


async def empty_async(requests: Any) -> AsyncIterator[Any]:
    for step in list[Any]():
        yield step


@pytest.mark.parametrize("function", [empty, empty_async, batch(lambda **_: (_ for _ in ()))])
def test_empty_streams(function: Callable[..., Any]) -> None:
    with streaming(function) as served:
        (end,) = run(served, ROW)
        assert end.message.length == 0
        assert end.released


def fails_later(requests: Any) -> Iterator[Any]:
    yield [{"OUTPUT_1": requests[0]["INPUT_1"]}]
    raise ZeroDivisionError("in mid-stream")


async def fails_later_async(requests: Any) -> AsyncIterator[Any]:
    yield [{"OUTPUT_1": requests[0]["INPUT_1"]}]
    raise ZeroDivisionError("in mid-stream")


def exits_later(requests: Any) -> Iterator[Any]:
    yield [{"OUTPUT_1": requests[0]["INPUT_1"]}]
    raise SystemExit("in mid-stream")


async def exits_later_async(requests: Any) -> AsyncIterator[Any]:
    yield [{"OUTPUT_1": requests[0]["INPUT_1"]}]
    raise SystemExit("in mid-stream")


@pytest.mark.parametrize("function", [fails_later, fails_later_async, exits_later, exits_later_async])
def test_errors_in_mid_stream_are_final(function: Callable[..., Any]) -> None:
    with streaming(function) as served:
        for _ in range(2):
            step, end = run(served, ROW)
            np.testing.assert_array_equal(step.output(request=0), ROW)
            assert "in mid-stream" in end.error()
        assert served.workers.is_alive()


def test_errors_of_the_functions_choice() -> None:
    def function(requests: Any) -> Iterator[Any]:
        yield [PyTritonInferenceError("no such thing", ErrorCode.NOT_FOUND), {"OUTPUT_1": ROW}]
        yield [None, ValueError("wrong")]
        raise AssertionError("both have ended")

    with streaming(function) as served:
        first, second, end = run(served, ROW, ROW)
        assert first.errors == {0: (ErrorCode.NOT_FOUND, "no such thing")}
        assert first.tensors.keys() == {(1, 0)}
        assert second.errors == {1: (ErrorCode.INTERNAL, "ValueError: wrong")}
        assert end.message.length == 0


def test_different_numbers_of_responses() -> None:
    def function(requests: Any) -> Iterator[Any]:
        yield [Response({"OUTPUT_1": ROW}, {"left": 0}, final=True), {"OUTPUT_1": ROW}]
        yield [None, {"OUTPUT_1": ROW + 1}]
        yield [None, Response({}, final=True)]
        raise AssertionError("both have ended")

    with streaming(function) as served:
        first, second, third, end = run(served, ROW, ROW)
        assert first.responses == {0: (layout.RESPONSE_LAST, {"left": 0})}
        assert first.tensors.keys() == {(0, 0), (1, 0)}
        assert second.responses == {0: (layout.RESPONSE_NONE, {})}
        assert second.tensors.keys() == {(1, 0)}
        assert third.responses[1] == (layout.RESPONSE_NONE | layout.RESPONSE_LAST, {})
        assert third.tensors == {}
        assert end.message.length == 0


def test_a_step_that_makes_no_sense_ends_the_stream() -> None:
    closed = []

    def function(requests: Any) -> Iterator[Any]:
        try:
            yield [{"OUTPUT_1": ROW}] * 2
        finally:
            closed.append(True)

    with streaming(function) as served:
        step, end = run(served, ROW)
        assert "2 responses for 1 requests" in step.error()
        assert end.released
        assert closed == [True]


@pytest.mark.parametrize("function", [three, three_async])
def test_batches_interleave(function: Callable[..., Any]) -> None:
    with streaming(function) as served:
        for _ in range(8):
            served.execute(*requests_of(ROW))
        order = [served.link.answer().message.slot for _ in range(8 * 4)]
        assert sorted(order) == sorted([*range(8)] * 4)
        assert order != sorted(order), "one after the other"


def test_async_batches_run_at_the_same_time() -> None:
    arrived = []

    @batch
    async def function(INPUT_1: Array) -> AsyncIterator[Any]:
        arrived.append(asyncio.Event())
        if len(arrived) == 3:
            for event in arrived:
                event.set()
        await asyncio.wait_for(arrived[-1].wait(), TIMEOUT_S)
        yield [INPUT_1]

    with streaming(function) as served:
        for _ in range(3):
            served.execute(*requests_of(ROW))
        answers = [served.link.answer() for _ in range(6)]
        assert {answer.message.slot for answer in answers} == {0, 1, 2}


def test_coroutines_of_a_model_that_answers_once_run_side_by_side() -> None:
    arrived = []

    @batch
    async def function(INPUT_1: Array) -> Any:
        arrived.append(asyncio.Event())
        if len(arrived) == 3:
            for event in arrived:
                event.set()
        await asyncio.wait_for(arrived[-1].wait(), TIMEOUT_S)
        return [INPUT_1]

    with serving(function, batches_in_flight=3) as served:
        for index in range(3):
            served.execute(*requests_of(ROW + index))
        answers = {answer.message.slot: answer for answer in (served.link.answer() for _ in range(3))}
        for index in range(3):
            np.testing.assert_array_equal(answers[index].output(), ROW + index)
            assert answers[index].released


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_streams_that_never_pause_let_others_begin(kind: str) -> None:
    ends = threading.Event()

    def generator(requests: Any) -> Iterator[Any]:
        while not ends.is_set():
            yield [{"OUTPUT_1": request["INPUT_1"]} for request in requests]
            if requests[0]["INPUT_1"][0, 0] == 1:
                ends.set()

    async def async_generator(requests: Any) -> AsyncIterator[Any]:
        for step in generator(requests):
            yield step

    function = generator if kind == "generator" else async_generator
    with streaming(function) as served:
        served.execute(*requests_of(ROW))
        other = served.execute(*requests_of(ROW + 1))
        answers = [served.link.answer()]
        while sum(bool(answer.message.flags & layout.FINAL) for answer in answers) < 2:
            answers.append(served.link.answer())
        assert other in {answer.message.slot for answer in answers}


def test_memory_is_used_again() -> None:
    """A stream of any length lives in the memory that its batch came with."""

    def function(requests: Any) -> Iterator[Any]:
        for index in range(100):
            yield [{"OUTPUT_1": ROW + index}]

    with streaming(function) as served:
        slot = served.execute(*requests_of(ROW), free=4096)
        for index in range(100):
            step = served.link.answer()
            np.testing.assert_array_equal(step.output(request=0), ROW + index)
            if index < 50:
                served.link.take(slot, index + 1)
        assert served.link.answer().message.length == 0
        assert not served.link.reserved
        assert served.link.synced


def test_large_steps_get_memory_of_their_own() -> None:
    def function(requests: Any) -> Iterator[Any]:
        for index in range(10):
            yield [{"OUTPUT_1": np.full((1, 10_000), index, np.float32)}]

    with streaming(function) as served:
        slot = served.execute(*requests_of(ROW), free=4096)
        for index in range(10):
            np.testing.assert_array_equal(served.link.answer().output(request=0)[0, :3], [index] * 3)
        assert steps_of(served, slot)[-1].message.length == 0
        assert len(served.link.reserved) == 1


def test_arrays_may_be_changed_after_they_were_yielded() -> None:
    def function(requests: Any) -> Iterator[Any]:
        array = requests[0]["INPUT_1"]
        for _ in range(3):
            array += 1
            yield [{"OUTPUT_1": array}]

    large = np.zeros((1, 100_000), np.float32)
    with streaming(function) as served:
        *steps, _ = run(served, large)
        assert [float(step.output(request=0)[0, 0]) for step in steps] == [1, 2, 3]
        places = [step.places[0, 0] for step in steps]
        assert len(set(places)) > 1


class Closing:
    """Waits for its end in every way that there is."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.how: type[BaseException] | None = None

    def generator(self, requests: Any) -> Iterator[Any]:
        try:
            while True:
                yield [{"OUTPUT_1": request["INPUT_1"]} for request in requests]
        except BaseException as error:
            self.how = type(error)
            raise
        finally:
            self.ended.set()

    async def async_generator(self, requests: Any) -> AsyncIterator[Any]:
        try:
            yield [{"OUTPUT_1": request["INPUT_1"]} for request in requests]
            await asyncio.sleep(TIMEOUT_S)
        except BaseException as error:
            self.how = type(error)
            raise
        finally:
            self.ended.set()

    async def busy_async_generator(self, requests: Any) -> AsyncIterator[Any]:
        for step in self.generator(requests):
            yield step

    async def coroutine(self, requests: Any) -> Any:
        try:
            await asyncio.sleep(TIMEOUT_S)
        except BaseException as error:
            self.how = type(error)
            raise
        finally:
            self.ended.set()


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("generator", GeneratorExit),
        ("async_generator", asyncio.CancelledError),
        ("busy_async_generator", GeneratorExit),
    ],
)
def test_streams_that_nobody_wants_are_closed(kind: str, how: type[BaseException]) -> None:
    closing = Closing()
    with streaming(getattr(closing, kind)) as served:
        slot = served.execute(*requests_of(ROW, ROW))
        assert served.link.answer().errors == {}
        served.link.cancel(slot, 0)
        served.link.cancel(slot, 1)
        end = steps_of(served, slot)[-1]
        assert closing.ended.wait(TIMEOUT_S)
        assert closing.how is how
        assert end.message.length == 0
        assert end.released


def test_streams_of_which_one_request_is_wanted_go_on() -> None:
    def function(requests: Any) -> Iterator[Any]:
        for _ in range(10):
            yield [{"OUTPUT_1": ROW}] * 2

    with streaming(function) as served:
        slot = served.execute(*requests_of(ROW, ROW))
        served.link.cancel(slot, 1)
        assert len(steps_of(served, slot)) == 11


@pytest.mark.parametrize("decoupled", [True, False])
def test_coroutines_are_cancelled_on_request(decoupled: bool) -> None:
    closing = Closing()
    with serving(closing.coroutine, decoupled=decoupled, cancel_coroutines=True) as served:
        slot = served.execute(*requests_of(ROW))
        served.link.cancel(slot, 0)
        end = served.link.answer()
        assert end.message.slot == slot
        assert closing.how is asyncio.CancelledError
        if not decoupled:
            assert end.errors == {layout.ALL_REQUESTS: (ErrorCode.CANCELLED, "the request was cancelled")}


def test_coroutines_are_left_alone_otherwise() -> None:
    cancelled = threading.Event()

    async def function(requests: Any) -> Any:
        await asyncio.get_running_loop().run_in_executor(None, cancelled.wait, TIMEOUT_S)
        return [{"OUTPUT_1": ROW}]

    with streaming(function) as served:
        slot = served.execute(*requests_of(ROW))
        served.link.cancel(slot, 0)
        cancelled.set()
        np.testing.assert_array_equal(served.link.answer().output(request=0), ROW)


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_streams_end_with_the_connection(kind: str) -> None:
    closing = Closing()
    with streaming(getattr(closing, kind)) as served:
        served.execute(*requests_of(ROW))
        assert served.link.answer().errors == {}
        served.link.close()
        assert closing.ended.wait(TIMEOUT_S)
        served.link = served.backend.attach()
        served.execute(*requests_of(ROW))
        assert served.link.answer().errors == {}


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
def test_streams_end_with_the_workers(kind: str) -> None:
    closing = Closing()
    with streaming(getattr(closing, kind)) as served:
        served.execute(*requests_of(ROW))
        assert served.link.answer().errors == {}
    assert closing.ended.is_set()


def raises_unrecoverable(requests: Any) -> Iterator[Any]:
    yield [{"OUTPUT_1": ROW}]
    raise PyTritonUnrecoverableError("no more")


async def raises_unrecoverable_async(requests: Any) -> AsyncIterator[Any]:
    yield [{"OUTPUT_1": ROW}]
    raise PyTritonUnrecoverableError("no more")


@pytest.mark.parametrize("function", [raises_unrecoverable, raises_unrecoverable_async])
def test_unrecoverable_errors_end_the_worker(function: Callable[..., Any]) -> None:
    noted = threading.Event()
    with streaming(function, on_failure=lambda _: noted.set()) as served:
        _, end = run(served, ROW)
        assert "no more" in end.error()
        assert noted.wait(TIMEOUT_S)
        with pytest.raises(EOFError):
            served.link.receive()


@pytest.mark.parametrize("function", [three, three_in_lists, three_async, three_in_lists_async])
def test_kept_inputs_stay_valid(function: Callable[..., Any]) -> None:
    kept: list[Array] = []

    def keeping(requests: Any) -> Any:
        kept.append(requests[0]["INPUT_1"])
        return function(requests)

    with streaming(keeping) as served:
        assert not run(served, ROW)[-1].released
        assert not run(served, ROW + 1)[-1].released
        np.testing.assert_array_equal(kept[0], ROW)
        kept.clear()
        assert {served.link.wait_for_release(), served.link.wait_for_release()} == {0, 1}


def test_parameters_that_cannot_be_sent() -> None:
    bad = [{"": 1}, {1: 1}, {"x": None}, {"x": 1 << 63}, {"x": "a\0b"}, {"x": b"bytes"}]

    def function(requests: Any) -> Any:
        return [Response({"OUTPUT_1": ROW}, parameters=parameters) for parameters in bad]  # type: ignore[arg-type]

    with serving(function) as served:
        answer = served.infer(*[FakeRequest({"INPUT_1": ROW})] * len(bad))
        assert answer.errors.keys() == set(range(len(bad)))
        for _, text in answer.errors.values():
            assert 'model "m"' in text
            assert "parameter" in text


def test_parameters_of_responses() -> None:
    parameters: Any = {"s": "text", "i": np.int32(-5), "b": True, "f": 0.25}
    with serving(lambda requests: [Response({"OUTPUT_1": ROW}, parameters=parameters)]) as served:
        assert served.echo(ROW).responses == {0: (0, {"s": "text", "i": -5, "b": True, "f": 0.25})}


@pytest.mark.parametrize("response", [None, Response({"OUTPUT_1": ROW}, final=True)])
def test_what_only_streams_may_give(response: Any) -> None:
    with serving(lambda requests: [response]) as served:
        assert 'model "m"' in served.echo(ROW).error(0)


def test_blocking_calls_in_coroutines_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    blocked = threading.Event()

    @batch
    async def function(INPUT_1: Array) -> Any:
        blocked.wait(0.8)  # nobody sets it
        return [INPUT_1]

    with streaming(function) as served:
        for _ in range(2):
            np.testing.assert_array_equal(run(served, ROW)[-1].output(), ROW)
    (record,) = caplog.records
    assert 'model "m": a coroutine did not await anything for' in record.getMessage()


def test_coroutines_that_wait_are_not(caplog: pytest.LogCaptureFixture) -> None:
    @batch
    async def function(INPUT_1: Array) -> Any:
        await asyncio.sleep(0.8)
        return [INPUT_1]

    with streaming(function) as served:
        np.testing.assert_array_equal(run(served, ROW)[-1].output(), ROW)
    assert caplog.records == []


def test_each_step_of_an_async_generator_counts_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    blocked = threading.Event()

    @batch
    async def function(INPUT_1: Array) -> AsyncIterator[Any]:
        for _ in range(3):
            blocked.wait(0.3)  # nobody sets it
            yield [INPUT_1]

    with streaming(function) as served:
        assert len(run(served, ROW)) == 4
    assert caplog.records == []
