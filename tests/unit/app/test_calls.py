# SPDX-License-Identifier: Apache-2.0
"""What functions get and what becomes of their results, without a server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from pytriton import App
from pytriton.arrays import F32, U8
from pytriton.batching import current_request
from pytriton.client.exceptions import (
    PyTritonClientInferenceServerError,
)
from pytriton.exceptions import (
    ErrorCode,
    PyTritonInvalidOperationError,
)
from pytriton.request import RequestBatch
from pytriton.testing import TestClient
from pytriton.worker.views import BlockReader

Rows = Annotated[F32, "batch", "n"]
F32Row = Annotated[F32, "n"]
ROW = np.ones(3, np.float32)


def test_equal_parameters_are_called_together() -> None:
    app = App()
    sizes: list[int] = []

    @app.model
    def scale(x: Rows, by: int = 1) -> Rows:
        sizes.append(len(x))
        return x * np.float32(by)

    with TestClient(app) as client:
        given: list[Any] = [{"by": 2}, None, {"by": 2}, {"by": "x"}]
        answers: list[Any] = client.model("scale").infer_together([{"x": ROW}] * 4, parameters=given)
        assert sorted(sizes) == [1, 2]
        assert [answer["output"][0] for answer in answers[:3]] == [2, 1, 2]
        assert "got 'x'; expected int" in str(answers[3])
        assert answers[3].code is ErrorCode.INVALID_ARG


@pytest.mark.parametrize("given", [[None] * 3, [None, None, {"by": 3}], [{"other": 1}, None, None]])
def test_only_batches_without_parameters_take_the_short_way(given: list[Any]) -> None:
    app = App()

    @app.model
    def rows(x: Rows, by: int = 2) -> Rows:
        return x * np.float32(by)

    @app.model
    def sample(x: F32Row, by: int = 2) -> F32Row:
        return x * np.float32(by)

    @app.model
    async def coroutine(x: Rows, by: int = 2) -> Rows:
        return x * np.float32(by)

    expected = [2.0 if each is None else each.get("by", 2.0) for each in given]
    with TestClient(app) as client:
        for name in ("rows", "sample", "coroutine"):
            for count in (1, 3):
                answers: list[Any] = client.model(name).infer_together(
                    [{"x": ROW}] * count, parameters=given[-count:]
                )
                assert [answer["output"].tolist() for answer in answers] == [
                    [by] * 3 for by in expected[-count:]
                ]


def test_batches_without_parameters_need_no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    made: list[RequestBatch] = []

    @app.model
    def rows(x: Rows, by: int = 1) -> Rows:
        return x

    @app.model
    def sample(x: F32Row, by: int = 1) -> F32Row:
        return x

    batch_of = BlockReader.batch_of

    def spied(*given: Any) -> RequestBatch:
        made.append(batch_of(*given))
        return made[-1]

    monkeypatch.setattr(BlockReader, "batch_of", spied)
    with TestClient(app) as client:
        for name in ("rows", "sample"):
            client.model(name).infer_sample(ROW)
            assert made == []
            client.model(name).infer_sample(ROW, parameters={"by": 1})
            assert len(made) == 1
            made.clear()


def test_samples_fail_one_by_one() -> None:
    app = App()

    @app.model
    def invert(x: float) -> float:
        return 1 / x

    with TestClient(app) as client:
        answers: list[Any] = client.model("invert").infer_together([{"x": 2.0}, {"x": 0.0}, {"x": 4.0}])
    assert [answers[0]["output"], answers[2]["output"]] == [0.5, 0.25]
    assert "ZeroDivisionError" in str(answers[1])


@pytest.mark.parametrize("by", [1, None])
def test_rows_of_a_request_fail_together(by: int | None) -> None:
    """With parameters the requests are told apart from the start, else only when something fails."""
    app = App()
    called: list[tuple[float, int]] = []

    def invert(x: float) -> float:
        called.append((x, current_request().parameters["number"]))  # type: ignore[arg-type]
        return 1 / x

    def invert_by(x: float, by: int = 1) -> float:
        return invert(x) * by

    app.model(name="invert")(invert if by is None else invert_by)
    rows = ([1.0, 2.0], [4.0, 0.0, 8.0], [0.5], [0.0], [0.25, 0.125])
    requests = [{"x": np.array(each)} for each in rows]
    with TestClient(app) as client:
        answers: list[Any] = client.model("invert").infer_together(
            requests, parameters=[{"number": number} for number in range(len(rows))], samples=False
        )
    for index in (0, 2, 4):
        np.testing.assert_array_equal(answers[index]["output"], 1 / requests[index]["x"])
    assert all("ZeroDivisionError" in str(answers[index]) for index in (1, 3))
    # Each once, and none after the one that failed.
    assert called == [(x, number) for number, each in enumerate(rows) for x in each if x != 8]


def test_coroutines_of_a_batch_run_side_by_side() -> None:
    app = App()
    meeting: list[Any] = []

    @app.model
    async def meet(x: int) -> int:
        import asyncio

        if not meeting:
            meeting.append(asyncio.Barrier(2) if sys.version_info >= (3, 11) else _Meeting())
        await meeting[0].wait()
        return x

    with TestClient(app, timeout_s=20) as client:
        answers: list[Any] = client.model("meet").infer_together([{"x": 1}, {"x": 2}])
    assert [answer["output"] for answer in answers] == [1, 2]


class _Meeting:
    """What asyncio.Barrier(2) is from Python 3.11 on."""

    def __init__(self) -> None:
        import asyncio

        self._count, self._event = 0, asyncio.Event()

    async def wait(self) -> None:
        self._count += 1
        if self._count == 2:
            self._event.set()
        await self._event.wait()


def test_streams_of_a_batch_end_each_for_itself() -> None:
    app = App()

    @app.model
    def repeat(x: Annotated[F32, "batch"], times: int = 1) -> Iterator[Annotated[F32, "batch"]]:
        for _ in range(times):
            yield x

    with TestClient(app) as client:
        given: list[Any] = [{"times": 1}, {"times": 3}, {"times": "many"}]
        streams: list[Any] = client.stream("repeat").infer_together(
            [{"x": value} for value in (1.0, 2.0, 3.0)], parameters=given
        )
        assert [step["output"].item() for step in streams[0]] == [1.0]
        assert [step["output"].item() for step in streams[1]] == [2.0] * 3
        with pytest.raises(PyTritonClientInferenceServerError, match="got 'many'"):
            list(streams[2])


def test_the_current_request() -> None:
    app = App()

    @app.model
    def tag(x: int) -> str:
        return str(current_request().parameters["tag"])

    @app.model
    async def tag_async(x: int) -> str:
        import asyncio

        await asyncio.sleep(0)
        return str(current_request().parameters["tag"])

    @app.model
    def tag_stream(x: int) -> Iterator[str]:
        for _ in range(2):
            yield str(current_request().parameters["tag"])

    @app.model
    def tag_rows(x: list[int]) -> list[str]:
        return [str(current_request().parameters["tag"])]

    given: list[Any] = [{"tag": "a"}, {"tag": "b"}]
    with TestClient(app) as client:
        for name in ("tag", "tag_async"):
            answers: list[Any] = client.model(name).infer_together([{"x": 1}, {"x": 2}], parameters=given)
            assert [answer["output"] for answer in answers] == [b"a", b"b"]
        streams: list[Any] = client.stream("tag_stream").infer_together([{"x": 1}] * 2, parameters=given)
        assert [[step["output"] for step in stream] for stream in streams] == [[b"a"] * 2, [b"b"] * 2]
        with pytest.raises(PyTritonClientInferenceServerError, match="Others have current_batch"):
            client.model("tag_rows").infer_sample(1)
    with pytest.raises(PyTritonInvalidOperationError, match="typed per sample"):
        current_request()


def test_inputs_may_have_names_of_builtins() -> None:
    app = App()

    class Same(NamedTuple):
        isinstance: Rows
        call: Rows

    @app.model
    def same(type: Rows, len: Rows, isinstance: Rows, result: Rows) -> Same:
        return Same(type + len, isinstance + result)

    with TestClient(app) as client:
        outputs = client.model("same").infer_sample(type=ROW, len=ROW, isinstance=ROW, result=ROW)
        assert [outputs["isinstance"][0], outputs["call"][0]] == [2, 2]


def test_async_streams_of_batches() -> None:
    app = App()

    @app.model
    async def repeat(
        x: Annotated[F32, "batch", "n"], times: int = 2
    ) -> AsyncIterator[Annotated[F32, "batch", "n"]]:
        for index in range(times):
            yield x + np.float32(index)

    with TestClient(app) as client:
        given: list[Any] = [{"times": 1}, None, {"times": 3}]
        streams: list[Any] = client.stream("repeat").infer_together([{"x": ROW}] * 3, parameters=given)
        assert [len(list(stream)) for stream in streams] == [1, 2, 3]


def test_steps_that_are_not_as_annotated_end_the_stream() -> None:
    app = App()

    @app.model
    def shrink(x: Rows) -> Iterator[Rows]:
        yield x
        yield x[:, 1:]

    with TestClient(app) as client:
        stream = client.stream("shrink").infer_sample(ROW)
        assert next(stream)["output"].shape == (3,)
        with pytest.raises(
            PyTritonClientInferenceServerError, match=r'dimension "n" is 2, but 3 in input "x"'
        ):
            next(stream)
        assert list(stream) == []


def test_inputs_that_samples_may_leave_out() -> None:
    app = App()

    @app.model
    def total(text: str, x: Annotated[F32, "n"] | None = None, y: Annotated[F32, 2] = ROW[:2]) -> float:
        return len(text) + (0.0 if x is None else float(x.sum())) + float(y.sum())

    with TestClient(app) as client:
        requests: list[Any] = [{"text": "a"}, {"text": "a", "x": ROW}, {"text": "ab", "y": [0, 0]}]
        answers: list[Any] = client.model("total").infer_together(requests)
        assert [answer["output"] for answer in answers] == [3, 6, 2]


def test_samples_of_a_batch_may_have_results_of_different_shapes() -> None:
    app = App()

    @app.model
    def count(n: int) -> Annotated[F32, "n"]:
        return np.arange(n, dtype=np.float32)

    with TestClient(app) as client:
        answers: list[Any] = client.model("count").infer_together([{"n": 1}, {"n": 3}])
        assert [answer["output"].shape for answer in answers] == [(1,), (3,)]
        with pytest.raises(PyTritonClientInferenceServerError, match=r"different shapes: \(1,\), \(3,\)"):
            client.model("count").infer_batch([1, 3])


def test_text_arrays_and_numpy_scalars() -> None:
    app = App()

    class Found(NamedTuple):
        words: Annotated[npt.NDArray[np.str_], "batch", 2]
        score: list[np.float32]

    @app.model
    def find(words: Annotated[npt.NDArray[np.str_], "batch", 2], score: list[np.float32]) -> Found:
        assert words.dtype.kind == "U"
        assert isinstance(score[0], np.float32)
        return Found(np.char.upper(words), [each * 2 for each in score])

    @app.model
    def halve(x: np.float16, flag: bool) -> np.float16:
        assert (type(x), type(flag)) == (np.float16, bool)
        return np.float16(x / 2) if flag else x

    with TestClient(app) as client:
        found = client.model("find").infer_batch([["a", "é"]], np.float32([1.5]))  # type: ignore[arg-type]
        assert found["words"].tolist() == [[b"A", "É".encode()]]
        assert found["score"].tolist() == [3.0]
        assert client.model("halve").infer_sample(np.float16(3), True)["output"] == 1.5


def test_tracebacks_begin_in_the_function() -> None:
    app = App()

    @app.model
    def whole(x: Rows) -> Rows:
        raise ZeroDivisionError("by nothing")

    @app.model
    def single(x: float) -> float:
        raise ZeroDivisionError("by nothing")

    with TestClient(app) as client:
        for name, given in (("whole", ROW), ("single", 1.0)):
            with pytest.raises(PyTritonClientInferenceServerError) as caught:
                client.model(name).infer_sample(given)
            first, *frames = str(caught.value).partition("Traceback")[2].splitlines()
            assert f"in {name}" in frames[0], first


def test_results_larger_than_the_block() -> None:
    app = App()

    @app.model
    def widen(x: Annotated[U8, "batch", 1]) -> Annotated[U8, "batch", 1_000_000]:
        return np.repeat(x, 1_000_000, axis=1)

    @app.model
    def chunks(count: int) -> Iterator[Annotated[U8, 1_000_000]]:
        for index in range(count):
            yield np.full(1_000_000, index, np.uint8)

    with TestClient(app) as client:
        result = client.model("widen").infer_batch(np.ones((2, 1), np.uint8))["output"]
        assert result.shape == (2, 1_000_000)
        assert result.all()
        steps = list(client.stream("chunks").infer_sample(20))
        assert [int(step["output"].max()) for step in steps] == list(range(20))


@pytest.mark.parametrize(
    ("power", "words"), [(63, "an integer beyond the range of int64"), (70, "an integer beyond 64 bits")]
)
def test_integers_that_have_no_room(power: int, words: str) -> None:
    app = App()

    @app.model
    def one(exponent: int) -> int:
        return 1 << exponent

    @app.model
    def several(exponent: list[int]) -> list[int]:
        return [1 << each for each in exponent]

    with TestClient(app) as client:
        for name in ("one", "several"):
            with pytest.raises(PyTritonClientInferenceServerError, match=words):
                client.model(name).infer_sample(power)
