# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.batching.context import current_model
from pytriton.decorators import batch, sample
from pytriton.exceptions import PyTritonUnrecoverableError
from pytriton.request import Array
from pytriton.worker import layout
from tests.helpers.fake_backend import FakeRequest
from tests.helpers.serving import FLOAT, serving

ROW = np.arange(4, dtype=np.float32).reshape(1, 4)
REQUEST = FakeRequest({"INPUT_1": ROW})


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@batch
def identity(**inputs: Array) -> Any:
    return list(inputs.values())


def raise_error(error: BaseException) -> None:
    raise error


def test_slot_is_released_with_the_result() -> None:
    with serving(identity) as served:
        for index in range(3):
            answer = served.echo(ROW + index)
            assert answer.released
            np.testing.assert_array_equal(answer.output(), ROW + index)
        assert served.link.pending() == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[:, ::-1],
        lambda array: array[::2].repeat(2, axis=0)[:3],
        np.asfortranarray,
        lambda array: np.broadcast_to(array[:1], array.shape),
        lambda array: array[:, :0],
    ],
)
def test_small_results_in_any_order_of_elements(change: Callable[[Array], Array]) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)

    @batch
    def function(INPUT_1: Array) -> Any:
        return [change(INPUT_1)]

    with serving(function) as served:
        np.testing.assert_array_equal(served.echo(rows).output(), change(rows))


def test_times_are_those_of_the_function() -> None:
    with serving(identity) as served:
        message = served.echo(ROW).message
    assert 0 < message.end_ns - message.begin_ns < 10e9


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("keep", [lambda array: array, lambda array: array[:, 1:], lambda array: array.data])
def test_kept_arrays_stay_valid(keep: Callable[[Array], Any]) -> None:
    kept: list[Any] = []

    @batch
    def function(INPUT_1: Array) -> Any:
        kept.append(keep(INPUT_1))
        return [INPUT_1]

    with serving(function) as served:
        for index in range(10):
            assert not served.echo(ROW + index).released
        for index, array in enumerate(kept):
            np.testing.assert_array_equal(np.asarray(array), keep(ROW + index))
        del array
        assert served.link.pending() == 0
        del kept[3]
        assert served.link.wait_for_release() == 3
    np.testing.assert_array_equal(np.asarray(kept[8]), keep(ROW + 9))


def test_slots_that_the_garbage_collector_releases() -> None:
    """It runs at every turn, in whatever thread, also between the calls of the worker itself."""

    @batch
    def function(INPUT_1: Array) -> Any:
        cycle: list[Any] = [INPUT_1]
        cycle.append(cycle)
        return [INPUT_1]

    released = []
    thresholds = gc.get_threshold()
    with serving(function) as served:
        gc.set_threshold(1)
        try:
            for _ in range(100):
                answer = served.echo(ROW)
                if answer.released:
                    released.append(answer.message.slot)
        finally:
            gc.set_threshold(*thresholds)
        gc.collect()
        while len(released) + len(served.link.released) < 100:
            served.link.wait_for_release()
        assert sorted(released + served.link.released) == list(range(100))
        assert served.link.pending() == 0


class Refusing:
    """Raises in every way that there is."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        self._error = error

    def function(self, requests: Any) -> Any:
        held = requests[0]["INPUT_1"]
        raise_error(self._error())
        return held

    @batch
    def batch_function(self, **inputs: Array) -> Any:
        raise_error(self._error())

    @batch
    async def coroutine(self, **inputs: Array) -> Any:
        await asyncio.sleep(0)
        raise_error(self._error())

    @batch
    def generator(self, **inputs: Array) -> Iterator[Any]:
        raise_error(self._error())
        yield list(inputs.values())

    def late_generator(self, requests: Any) -> Iterator[Any]:
        yield [{"OUTPUT_1": requests[0]["INPUT_1"]}]
        raise_error(self._error())

    async def async_generator(self, requests: Any) -> AsyncIterator[Any]:
        held = requests[0]["INPUT_1"]
        raise_error(self._error())
        yield [{"OUTPUT_1": held}]

    def cyclic(self, requests: Any) -> None:
        try:
            raise_error(self._error())
        except BaseException as error:
            kept = error
            raise RuntimeError("after it") from kept


KINDS = [name for name in vars(Refusing) if not name.startswith("_")]


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    [
        lambda: ZeroDivisionError("division by zero"),
        lambda: SystemExit(3),
        lambda: KeyboardInterrupt(),
        lambda: asyncio.CancelledError("cancelled"),
        lambda: GeneratorExit("odd"),
    ],
)
def test_errors_are_answers(
    kind: str, error: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(getattr(Refusing(error), kind)) as served:
        for _ in range(2):
            answer = served.echo(ROW)
            code, text = answer.errors[layout.ALL_REQUESTS]
            assert code == 1
            assert f"in {kind}" in text
            assert type(error()).__name__ in text
            assert str(error()) in text
            assert answer.released, "the error keeps the slot"
        assert served.workers.is_alive()
    (record,) = caplog.records  # the same once more is not said again
    assert record.levelno == logging.WARNING
    assert text in caplog.records[0].getMessage()
    assert caplog.records[0].exc_info is None


def test_error_of_a_part_of_the_batch_fails_all_of_it() -> None:
    def function(requests: Any) -> Any:
        return [{"OUTPUT_1": 1 / 0} for _ in requests]

    with serving(function) as served:
        assert "division by zero" in served.echo(ROW, ROW).error()


def test_long_errors_are_cut() -> None:
    with serving(lambda _: raise_error(ValueError("x" * 100_000))) as served:
        assert len(served.echo(ROW, free=256).error()) < 16_385
        assert served.link.reserved


def test_unrecoverable_error_is_answered_and_ends_the_worker() -> None:
    failures = []
    noted = threading.Event()

    def note(error: BaseException) -> None:
        failures.append(error)
        noted.set()

    with serving(lambda _: raise_error(PyTritonUnrecoverableError("no more")), on_failure=note) as served:
        assert "no more" in served.echo(ROW).error()
        assert noted.wait(20)
        with pytest.raises(EOFError):
            served.link.receive()
        assert served.workers.failure is failures[0]
    assert not served.workers.is_alive()


def test_current_model_is_set_for_every_kind() -> None:
    names = []

    def note(**inputs: Array) -> Any:
        model = current_model.get()
        assert model is not None
        names.append((model.model_name, threading.current_thread().name))
        return list(inputs.values())

    async def note_later(**inputs: Array) -> Any:
        return note(**inputs)

    for function in (batch(note), batch(note_later), sample(note)):
        with serving(function) as served:
            assert served.echo(ROW).errors == {}
    assert names == [("m", "pytriton-m-0")] * 3


def test_reconnects_after_the_end_of_a_connection() -> None:
    kept: list[Array] = []

    @batch
    def function(INPUT_1: Array) -> Any:
        kept.append(INPUT_1)
        return [INPUT_1]

    with serving(function) as served:
        for index in range(5):
            np.testing.assert_array_equal(served.echo(ROW + index).output(), ROW + index)
            served.link.close()
            served.link = served.backend.attach()
        for index, array in enumerate(kept):
            np.testing.assert_array_equal(array, ROW + index)
        del array
        kept.clear()
        assert served.link.pending() == 0
        assert served.workers.bytes_copied == 5 * ROW.nbytes


def test_server_that_goes_during_a_call() -> None:
    called, resume = threading.Event(), threading.Event()

    @batch
    def function(INPUT_1: Array) -> Any:
        called.set()
        assert resume.wait(20)
        return [INPUT_1]

    with serving(function) as served:
        served.execute(REQUEST)
        assert called.wait(20)
        served.link.close()
        resume.set()
        served.link = served.backend.attach()
        np.testing.assert_array_equal(served.echo(ROW).output(), ROW)


def test_server_that_goes_while_memory_is_wanted() -> None:
    with serving(batch(lambda INPUT_1: [np.zeros((1, 10_000), np.float32)])) as served:
        served.execute(REQUEST, free=256)
        assert served.link.receive().kind == layout.RESERVE
        served.link.close()
        served.link = served.backend.attach()
        assert served.echo(ROW).output().shape == (1, 10_000)


def test_messages_that_make_no_sense_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    with serving(identity) as served:
        served.link.send(99)
        with pytest.raises(EOFError):
            served.link.receive()
        served.link = served.backend.attach()
        np.testing.assert_array_equal(served.echo(ROW).output(), ROW)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "kind 99" in str(record.exc_info)


def test_batches_that_cannot_be_read_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    with serving(identity) as served:
        for offset in (1 << 26, 1 << 40):  # behind the end of the memory
            served.link.send(layout.EXECUTE, 7, offset, 4096)
            with pytest.raises(EOFError):
                served.link.receive()
            served.link = served.backend.attach()
        np.testing.assert_array_equal(served.echo(ROW).output(), ROW)
        assert served.workers.is_alive()
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_batch_that_comes_while_memory_is_wanted() -> None:
    with serving(batch(lambda INPUT_1: [np.repeat(INPUT_1, 1000, axis=1)])) as served:
        served.execute(REQUEST, free=256)
        want = served.link.receive()
        served.execute(REQUEST, free=1 << 16)
        served.link.send(layout.RESERVED, want.slot, 1 << 25, 1 << 16)
        answers = [served.link.answer(), served.link.answer()]
        assert [answer.message.slot for answer in answers] == [0, 1]
        assert answers[0].output().tolist() == answers[1].output().tolist()


def test_many_requests_in_one_batch() -> None:
    with serving(identity, [FLOAT] * 20, [FLOAT] * 20) as served:
        arrays = {f"INPUT_{index + 1}": ROW + index for index in range(20)}
        answer = served.infer(*[FakeRequest(arrays)] * 128, free=1 << 16)
        assert len(answer.tensors) == 20
        np.testing.assert_array_equal(answer.output(19), np.repeat(ROW + 19, 128, axis=0))
