# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.request import Array, Request, Response
from pytriton.worker import layout
from tests.helpers.fake_backend import FakeRequest
from tests.helpers.serving import FLOAT, requests_of, serving

STRINGS = Tensor((-1,), bytes)
ROW = np.arange(4, dtype=np.float32).reshape(1, 4)
LARGE = np.arange(1 << 16, dtype=np.float32).reshape(1, -1)


def giving(*arrays: Any, names: tuple[str, ...] = ("OUTPUT_1", "OUTPUT_2")) -> Callable[..., Any]:
    """A function that gives every request these arrays."""
    return lambda requests: [dict(zip(names, arrays, strict=False)) for _ in requests]


def output_of(result: Any, output: Tensor, **options: Any) -> Array:
    with serving(giving(result), [FLOAT], [output], **options) as served:
        return served.echo(ROW).output(request=0)


def error_of(result: Any, output: Tensor = FLOAT, **options: Any) -> str:
    with serving(giving(result), [FLOAT], [output], **options) as served:
        return served.echo(ROW).error(request=0)


def failure_of(function: Callable[..., Any], **options: Any) -> str:
    with serving(function, **options) as served:
        return served.echo(ROW, ROW).error()


@pytest.mark.parametrize(
    ("given", "output", "expected"),
    [
        (np.array([[1.5, -2.5]]), FLOAT, [[1.5, -2.5]]),
        (np.array([[1.9, -2.9]]), Tensor((-1,), np.int32), [[1, -2]]),
        (np.array([[2**32 + 5]]), Tensor((-1,), np.int32), [[5]]),
        (np.array([[True, False]]), FLOAT, [[1, 0]]),
        (np.array([[0.0, 2.0]]), Tensor((-1,), bool), [[False, True]]),
        (np.array([["1.5", "2"]]), FLOAT, [[1.5, 2]]),
        (np.array([[b"1.5", b"2"]]), FLOAT, [[1.5, 2]]),
        (np.array([[b"1.5", b"2"]], object), FLOAT, [[1.5, 2]]),
        (np.array([[1.5, 2]]), STRINGS, [[b"1.5", b"2.0"]]),
        (np.array([[True]]), STRINGS, [[b"True"]]),
        (np.array([["żółw"]]), STRINGS, [["żółw".encode()]]),
        (np.array([["text", b"bytes"]], object), STRINGS, [[b"text", b"bytes"]]),
        (np.array([[1, 2]], ">i4"), FLOAT, [[1, 2]]),
        (np.array([[np.nan, 1e300]]), Tensor((-1,), np.int8), None),
        (np.array([[1.5]]), Tensor((-1,), "bfloat16"), [[1.5]]),
    ],
)
def test_conversion_to_the_declared_datatype(given: Array, output: Tensor, expected: Any) -> None:
    back = output_of(given, output)
    assert back.shape == given.shape
    assert expected is None or back.tolist() == expected


@pytest.mark.parametrize(
    "given",
    [
        np.arange(12, dtype=np.float32).reshape(1, 3, 4).transpose(0, 2, 1),
        np.arange(12, dtype=np.float32).reshape(1, 12)[:, ::-3],
        np.broadcast_to(np.float32(3), (1, 5)),
        np.zeros((1, 0), np.float32),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(1, 3, 4)),
        np.ma.masked_array(np.ones((1, 2), np.float32), [[True, False]]),
    ],
)
def test_arrays_of_any_memory_layout(given: Array) -> None:
    np.testing.assert_array_equal(output_of(given, FLOAT), np.asarray(given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[1.0]], "builtins.list; expected a numpy.ndarray"),
        (np.float32(1), "shape (); expected the batch size 1"),
        (None, "NoneType"),
        (np.zeros((2, 2), np.float32), r"shape (2, 2); expected the batch size 1"),
        (np.zeros((), np.float32), "shape (); expected the batch size 1"),
        (np.zeros((1, 1), np.complex64), "dtype complex64 of kind 'c'; supported are"),
        (np.zeros((1, 1), "M8[s]"), "datetime64"),
        (np.zeros((1, 1), [("a", "i4")]), "kind 'V'"),
        (np.array([[b"x"]]), "cannot convert |S1 to float32: could not convert"),
        (np.array([[None]]), "cannot convert"),
        (np.zeros((1,) * 17, np.float32), "got 17 dimensions; at most 16"),
    ],
)
def test_arrays_that_are_refused(given: Any, words: str) -> None:
    text = error_of(given)
    assert text.startswith('model "m", output "OUTPUT_1": ')
    assert words in text


def test_objects_that_are_no_strings() -> None:
    assert "element 0 of an array of objects is of type int" in error_of(np.array([[3]], object), STRINGS)


@pytest.mark.parametrize(
    ("given", "output", "words"),
    [
        (np.zeros((1, 1)), FLOAT, "got dtype float64; expected float32"),
        (np.zeros((1, 1), np.float32), STRINGS, "got dtype float32; expected bytes"),
        (np.array([[b"1"]]), FLOAT, "got dtype |S1; expected float32"),
        (
            np.zeros((1, 2), np.float32),
            Tensor((3,), np.float32),
            "got shape (2,) without the batch dimension",
        ),
        (np.zeros((1, 3, 1), np.float32), Tensor((3,), np.float32), "expected (3,)"),
    ],
)
def test_strict(given: Array, output: Tensor, words: str) -> None:
    assert words in error_of(given, output, strict=True)
    assert output_of(given, output).shape == given.shape


def test_strict_accepts_what_fits() -> None:
    assert output_of(np.zeros((1, 3), ">f4"), Tensor((3,), np.float32), strict=True).shape == (1, 3)
    assert output_of(np.array([["text"]]), STRINGS, strict=True).tolist() == [[b"text"]]
    with serving(lambda _: [{}], strict=True) as served:
        assert served.echo(ROW).tensors == {}


def test_strict_without_batching() -> None:
    assert "got shape (1, 4); expected (-1,)" in error_of(ROW, batching=False, strict=True)
    assert output_of(ROW[0], FLOAT, batching=False, strict=True).tolist() == [0, 1, 2, 3]


def test_undeclared_outputs() -> None:
    function = giving(ROW, ROW, names=("OUTPUT_1", "extra"))
    with serving(function) as served:
        assert list(served.echo(ROW).tensors) == [(0, 0)]
    with serving(function, strict=True) as served:
        assert 'output "extra", which is not declared; declared are "OUTPUT_1"' in served.echo(ROW).error(0)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "object of type NoneType; expected a list"),
        (({"OUTPUT_1": ROW},) * 2, "object of type tuple"),
        ({"OUTPUT_1": ROW}, "object of type dict"),
        (ROW, "object of type ndarray"),
        ([{"OUTPUT_1": ROW}], "1 responses for 2 requests"),
        ([], "0 responses for 2 requests"),
    ],
)
def test_results_that_are_refused(result: Any, words: str) -> None:
    assert words in failure_of(lambda _: result)


@pytest.mark.parametrize("response", [None, [ROW], ROW])
def test_responses_that_are_no_dicts(response: Any) -> None:
    with serving(lambda _: [response]) as served:
        said = served.echo(ROW).error(0)
    assert f"object of type {type(response).__name__}; expected a dict" in said
    assert "with @batch it gets and returns arrays" in said


def test_names_that_are_no_strings() -> None:
    with serving(lambda _: [{3: ROW}]) as served:
        assert "output named 3; expected a string" in served.echo(ROW).error(0)


def test_requests_and_responses_are_good_results() -> None:
    with serving(lambda requests: [Response({"OUTPUT_1": requests[0]["INPUT_1"]})]) as served:
        np.testing.assert_array_equal(served.echo(ROW).output(request=0), ROW)
    same = Tensor((-1,), np.float32, name="x")
    with serving(lambda requests: requests, [same], [same]) as served:
        np.testing.assert_array_equal(served.infer(FakeRequest({"x": ROW})).output(request=0), ROW)


def test_only_the_request_that_is_wrong_fails(caplog: pytest.LogCaptureFixture) -> None:
    def function(requests: list[Request]) -> Any:
        return [
            {"OUTPUT_1": request["INPUT_1"] if index % 2 else "no"} for index, request in enumerate(requests)
        ]

    with serving(function) as served:
        answer = served.echo(ROW, ROW, ROW)
    assert list(answer.tensors) == [(1, 0)]
    assert sorted(answer.errors) == [0, 2]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "(and 1 more requests of the batch)" in record.getMessage()


def test_one_error_for_a_request_with_several_wrong_outputs() -> None:
    text = np.array([[b"x"]])
    with serving(giving(text, text), [FLOAT], [FLOAT, FLOAT]) as served:
        assert '"OUTPUT_1"' in served.echo(ROW).error(0)
        answer = served.echo(ROW, ROW)
        assert sorted(answer.errors) == [0, 1]


def test_conversion_that_fails_leaves_the_other_requests() -> None:
    def function(requests: list[Request]) -> Any:
        return [{"OUTPUT_1": np.array([[b"x"]])}, {"OUTPUT_1": np.array([[b"1.5"]])}]

    with serving(function) as served:
        answer = served.echo(ROW, ROW)
    assert answer.tensors[1, 0].tolist() == [[1.5]]
    assert "cannot convert" in answer.errors[0][1]


def test_whole_batch_is_one_tensor() -> None:
    with serving(batch(lambda INPUT_1: [INPUT_1 * 2])) as served:
        answer = served.infer(*requests_of(*[ROW] * 50))
    assert list(answer.tensors) == [(layout.ALL_REQUESTS, 0)]
    assert answer.output().tolist() == [[0, 2, 4, 6]] * 50


def test_parts_that_somebody_looked_at_count() -> None:
    inner = batch(lambda INPUT_1: [INPUT_1])

    def outer(requests: Any) -> Any:
        result = inner(requests)
        result[1]["OUTPUT_1"] = ROW + 1
        return result

    outer.__pytriton_batch__ = outer  # type: ignore[attr-defined]
    with serving(outer) as served:
        answer = served.echo(ROW, ROW)
    assert answer.output(request=0).tolist() == ROW.tolist()
    assert answer.output(request=1).tolist() == (ROW + 1).tolist()


@pytest.mark.parametrize(
    ("function", "copied"),
    [
        (lambda x: x, 0),
        (lambda x: x[:, :], 0),
        (lambda x: x.reshape(x.shape[0], 2, -1), 0),
        (lambda x: x[:, 1 << 15 :], 0),
        (lambda x: x[:, ::-1], 4 * LARGE.size),
        (lambda x: x.view(np.int32), 4 * LARGE.size),
        (lambda x: x.copy(), 4 * LARGE.size),
    ],
)
def test_large_results_that_lie_in_the_slot_are_not_copied(function: Callable[..., Any], copied: int) -> None:
    with serving(batch(lambda INPUT_1: [function(INPUT_1)])) as served:
        answer = served.echo(LARGE)
        expected = function(LARGE).astype(np.float32)
        np.testing.assert_array_equal(answer.output(), expected)
        assert answer.released
        assert served.workers.bytes_copied == copied
        assert bool(served.link.reserved) == bool(copied)


def test_results_in_another_slot_are_copied() -> None:
    kept: list[Array] = []

    @batch
    def function(INPUT_1: Array) -> Any:
        kept.append(INPUT_1)
        return [kept[0]]

    with serving(function) as served:
        assert not served.echo(LARGE).released
        answer = served.echo(LARGE + 1)
        np.testing.assert_array_equal(answer.output(), LARGE)
        assert served.workers.bytes_copied == 4 * LARGE.size
        kept.clear()


def test_outputs_that_nobody_asks_for_are_not_placed() -> None:
    outputs = [FLOAT, FLOAT]
    whole = batch(lambda INPUT_1: [INPUT_1 + 1, INPUT_1 + 2])
    for function in (whole, giving(LARGE + 1, LARGE + 2)):
        with serving(function, [FLOAT], outputs) as served:
            only_second = FakeRequest({"INPUT_1": LARGE}, outputs=[1])
            answer = served.infer(only_second)
            assert [index for _, index in answer.tensors] == [1]
            assert [index for _, index in served.echo(LARGE).tensors] == [0, 1]
            assert served.infer(FakeRequest({"INPUT_1": LARGE}, outputs=[0]), only_second).errors == {}


def test_results_that_do_not_fit_get_one_more_block() -> None:
    with serving(giving(LARGE, LARGE), [FLOAT], [FLOAT, FLOAT]) as served:
        answer = served.echo(*[ROW] * 10, free=0)
        for request in range(10):
            np.testing.assert_array_equal(answer.output(1, request), LARGE)
        assert len(served.link.reserved) == 1
        assert all(offset % 64 == 0 for offset in answer.places.values())


def test_refused_memory_is_an_error_with_words() -> None:
    with serving(giving(LARGE), refuse_above=100_000) as served:
        answer = served.echo(ROW)
        code, text = answer.errors[layout.ALL_REQUESTS]
        assert code == 1
        assert "the limit is 100000 bytes: it cannot be served" in text
        assert answer.tensors == {}


def test_refused_memory_that_requests_need_together_may_be_there_the_next_time() -> None:
    with serving(giving(LARGE), refuse_above=100_000) as served:
        code, text = served.echo(ROW, ROW).errors[layout.ALL_REQUESTS]
        assert code == 4
        assert "send fewer or smaller requests at a time" in text


def test_refused_memory_that_others_have_may_be_there_the_next_time() -> None:
    with serving(giving(LARGE), refuse_above=100_000, refused_need=90_000) as served:
        code, text = served.echo(ROW).errors[layout.ALL_REQUESTS]
        assert code == 4
        assert "the request can be sent again" in text


def test_refused_memory_for_the_words_is_an_error_without() -> None:
    with serving(giving(LARGE), refuse_above=10) as served:
        answer = served.echo(ROW, free=64)
        assert answer.errors == {layout.ALL_REQUESTS: (1, "")}


def test_result_objects_that_misbehave() -> None:
    class Broken(dict[str, Array]):
        def items(self) -> Any:
            raise KeyError("no items")

    assert "KeyError: 'no items'" in failure_of(lambda _: [Broken(), Broken()])
