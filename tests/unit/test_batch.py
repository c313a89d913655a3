# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.batching.batch import BatchResult
from pytriton.batching.context import current_model
from pytriton.batching.whole import takes_whole_batch
from pytriton.decorators import batch
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import Tensor
from pytriton.request import Array, Request, RequestBatch
from tests.helpers.records import Records
from tests.helpers.serving import describe_model

Outputs = dict[str, Array]


@pytest.mark.parametrize(
    "call",
    [
        lambda function: function(np.ones((2, 1))),
        lambda function: function([[1.0]]),
        lambda function: function([1.0, 2.0]),
        lambda function: function(x=np.ones((2, 1))),
        lambda function: function(3),
    ],
)
def test_calling_it_with_arrays_says_how(call: Callable[[Any], Any]) -> None:
    function = batch(twice)
    with pytest.raises(PyTritonValidationError, match=r"list of requests.*twice\.__wrapped__\(\.\.\.\)"):
        call(function)
    np.testing.assert_array_equal(inspect.unwrap(function)(x=np.ones(2))["y"], 2)


def twice(x: Array) -> Outputs:
    return {"y": 2 * x}


async def twice_later(x: Array) -> Outputs:
    await asyncio.sleep(0)
    return twice(x)


def twice_twice(x: Array) -> Iterator[Outputs]:
    yield twice(x)
    yield twice(x)


async def twice_twice_later(x: Array) -> AsyncIterator[Outputs]:
    yield twice(x)
    yield twice(x)


class Model:
    def __init__(self) -> None:
        self.weights = "not an attribute of the function"

    def __call__(self, x: Array) -> Outputs:
        return twice(x)

    @batch
    def infer(self, x: Array) -> Outputs:
        assert isinstance(self, Model)
        return twice(x)

    def bare(self, x: Array) -> Outputs:
        return twice(x)


class DecoratedModel:
    @batch
    def __call__(self, x: Array) -> Outputs:
        assert isinstance(self, DecoratedModel)
        return twice(x)


def make_requests() -> list[Request]:
    return [Request({"x": np.full((rows, 2), rows)}) for rows in (1, 3)]


def make_batch(*rows: int, batching: bool = True) -> RequestBatch:
    total = sum(rows)
    inputs = {"x": np.arange(2 * total).reshape(total, 2)}
    return RequestBatch(inputs, Records(*rows), total_rows=total, batching=batching)


@pytest.mark.parametrize(
    "function",
    [
        batch(twice),
        batch(lambda x: {"y": 2 * x}),
        batch(functools.partial(twice)),
        batch(Model()),
        batch(Model().bare),
        Model().infer,
        DecoratedModel(),
        functools.partial(batch(twice)),
        functools.partial(Model.infer, Model()),
    ],
)
def test_every_callable_and_both_arguments(function: Callable[..., Any]) -> None:
    assert takes_whole_batch(function)
    responses = function(make_requests())
    assert type(responses) is list
    assert [response["y"].tolist() for response in responses] == [[[2, 2]], [[6, 6]] * 3]

    whole = make_batch(1, 3)
    result = function(whole)
    assert isinstance(result, BatchResult)
    assert whole.untouched
    assert result.untouched
    assert result.outputs["y"].shape == (4, 2)
    assert [len(part["y"]) for part in result] == [1, 3]
    assert len(list(result)) == 2
    assert len(result) == 2
    assert np.shares_memory(result[1]["y"], result.outputs["y"])
    assert result[:1][0] is result[0]


def test_inputs_are_not_copied() -> None:
    whole = make_batch(1, 3)
    result = batch(lambda x: {"y": x})(whole)
    assert result.outputs["y"] is whole.inputs["x"]
    (response,) = batch(lambda x: {"y": x})(requests := make_requests()[:1])
    assert response["y"] is requests[0]["x"]


def test_attributes_follow_functions_only() -> None:
    decorated = batch(twice)
    assert decorated.__name__ == "twice"
    assert decorated.__wrapped__ is twice  # type: ignore[attr-defined]
    assert not hasattr(batch(Model()), "weights")


def test_requests_that_were_looked_at_count() -> None:
    whole = make_batch(1, 3)
    whole[0]["x"] = np.full((2, 2), 7)
    responses = batch(twice)(whole)
    assert type(responses) is list
    assert [len(response["y"]) for response in responses] == [2, 3]


def test_somebody_elses_decorator_gets_a_list() -> None:
    inner = batch(twice)

    @functools.wraps(inner)
    def outer(requests: Any) -> Any:
        return inner(requests)

    assert not takes_whole_batch(outer)
    assert not takes_whole_batch(twice)
    assert not takes_whole_batch(len)
    assert takes_whole_batch(batch(inner))


def test_extra_keyword_arguments_are_kept() -> None:
    responses = batch(lambda x, factor: {"y": factor * x})(make_requests(), factor=3)
    assert responses[0]["y"].tolist() == [[3, 3]]


def test_coroutine_function_stays_one() -> None:
    decorated = batch(twice_later)
    assert inspect.iscoroutinefunction(decorated)
    assert len(asyncio.run(decorated(make_requests()))) == 2
    unseen = batch(functools.partial(lambda x: twice_later(x)))
    assert isinstance(asyncio.run(unseen(make_batch(1, 2))), BatchResult)


def test_generator_function_stays_one() -> None:
    decorated = batch(twice_twice)
    assert inspect.isgeneratorfunction(decorated)
    unseen = batch(lambda x: twice_twice(x))
    for function in (decorated, unseen, batch(functools.partial(twice_twice))):
        steps = list(function(make_requests()))
        assert [[len(response["y"]) for response in step] for step in steps] == [[1, 3], [1, 3]]


def test_closing_a_generator_closes_the_function() -> None:
    closed = []

    def endless(x: Array) -> Iterator[Outputs]:
        try:
            while True:
                yield twice(x)
        finally:
            closed.append(True)

    steps = batch(endless)(make_requests())
    next(steps)
    steps.close()
    assert closed == [True]


def test_async_generator_function_stays_one() -> None:
    async def collect(function: Callable[..., Any]) -> list[int]:
        return [len(step) async for step in function(make_requests())]

    assert inspect.isasyncgenfunction(batch(twice_twice_later))
    for function in (batch(twice_twice_later), batch(lambda x: twice_twice_later(x))):
        assert asyncio.run(collect(function)) == [2, 2]


@pytest.mark.parametrize("outputs", [lambda x: [x, x + 1], lambda x: (x, x + 1)])
def test_outputs_by_position(outputs: Callable[..., Any]) -> None:
    token = current_model.set(
        describe_model(outputs=[Tensor((-1,), np.int64), Tensor((-1,), np.int64, name="named")])
    )
    try:
        result = batch(outputs)(make_batch(1))
        assert list(result.outputs) == ["OUTPUT_1", "named"]
        with pytest.raises(
            PyTritonValidationError, match=r'model "m".* returned 1 outputs.*2.*"OUTPUT_1", "named"'
        ):
            batch(lambda x: [x])(make_batch(1))
    finally:
        current_model.reset(token)


def test_outputs_by_position_need_a_model() -> None:
    with pytest.raises(PyTritonValidationError, match="not bound"):
        batch(lambda x: [x])(make_batch(1))


@pytest.mark.parametrize("outputs", [None, 3, "text", np.zeros(1), {1}])
def test_unsupported_results(outputs: object) -> None:
    with pytest.raises(PyTritonValidationError, match="Unsupported output type"):
        batch(lambda x: outputs)(make_batch(1))


@pytest.mark.parametrize("argument", [make_batch(1, 3), make_requests()])
def test_wrong_batch_size_names_the_offenders(argument: Any) -> None:
    function = batch(lambda x: {"good": x, "short": x[1:], "scalar": np.zeros(())})
    with pytest.raises(ValueError, match=r'batch size 4, but "short" has shape \(3, 2\)') as caught:
        function(argument)
    assert "good" not in str(caught.value)


def test_outputs_must_be_arrays() -> None:
    with pytest.raises(ValueError, match='output "y" is of type list'):
        batch(lambda x: {"y": [[1, 2]]})(make_batch(1))


def test_requests_must_have_the_same_inputs() -> None:
    requests = [*make_requests(), Request({"z": np.zeros((1, 2))})]
    with pytest.raises(PyTritonValidationError, match=r"request 2 has \['z'\]"):
        batch(twice)(requests)


def test_requests_need_a_batch_size() -> None:
    with pytest.raises(PyTritonValidationError, match="no batch size"):
        batch(twice)([Request({"x": np.zeros(())})])
    with pytest.raises(PyTritonValidationError, match="no batch size"):
        batch(lambda: {"y": np.zeros(1)})([Request({}), Request({})])


def test_one_request_without_inputs_gets_what_the_function_gives() -> None:
    assert batch(lambda: {"y": np.zeros(3)})([Request({})])[0]["y"].shape == (3,)


def test_without_batching_nothing_is_split() -> None:
    whole = make_batch(2, batching=False)
    result = batch(lambda x: {"y": np.zeros((5, 3)), "scalar": np.zeros(())})(whole)
    assert result[0]["y"].shape == (5, 3)
    token = current_model.set(describe_model(batching=False))
    try:
        assert batch(lambda x: {"y": np.zeros((5, 3))})(make_requests()[:1])[0]["y"].shape == (5, 3)
    finally:
        current_model.reset(token)
