# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton.batching.batch import BatchResult
from pytriton.decorators import batch, group_by_keys
from pytriton.request import Request, RequestBatch
from tests.helpers.kinds import KINDS, outcomes
from tests.helpers.records import Records


def requests() -> list[Request]:
    sent = [
        {"b": np.array([[1]]), "a": np.array([[2]])},
        {"b": np.array([[3]])},
        {"a": np.array([[4], [5]]), "b": np.array([[6], [7]])},
        {"a": np.array([[8]])},
        {"b": np.array([[9]])},
    ]
    return [Request(inputs) for inputs in sent]


def summed(**inputs: Any) -> dict[str, Any]:
    return {"inputs": np.full_like(next(iter(inputs.values())), len(inputs)), "sum": sum(inputs.values())}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_over_batch(kind: str) -> None:
    decorated = group_by_keys(batch(KINDS[kind](summed)))
    steps = outcomes(decorated(requests()))
    assert len(steps) == (2 if "generator" in kind else 1)
    for responses in steps:
        assert [response["sum"].tolist() for response in responses] == [
            [[3]],
            [[3]],
            [[10], [12]],
            [[8]],
            [[9]],
        ]
        assert [int(response["inputs"][0, 0]) for response in responses] == [2, 1, 2, 1, 1]


def test_one_call_for_each_set_of_inputs() -> None:
    calls = []

    @group_by_keys
    def note(requests: list[Request]) -> list[Request]:
        calls.append([sorted(request) for request in requests])
        return requests

    sent = requests()
    assert all(one is other for one, other in zip(note(sent), sent, strict=True))
    assert calls == [[["a"]], [["a", "b"], ["a", "b"]], [["b"], ["b"]]]
    assert note([]) == []


def test_whole_batch_stays_whole() -> None:
    x = np.ones((4, 2))
    whole = RequestBatch({"x": x}, Records(1, 3), total_rows=4, batching=True)
    result = group_by_keys(batch(lambda x: {"y": x}))(whole)
    assert isinstance(result, BatchResult)
    assert result.outputs["y"] is x
    assert whole.untouched
    assert type(group_by_keys(lambda requests: requests)(whole)) is list


def test_requests_of_a_batch_that_were_changed() -> None:
    whole = RequestBatch({"x": np.ones((2, 1))}, Records(1, 1), total_rows=2, batching=True)
    whole[1]["extra"] = np.ones((1, 1))
    responses = group_by_keys(batch(summed))(whole)
    assert [int(response["sum"][0, 0]) for response in responses] == [1, 2]


def test_too_few_responses() -> None:
    with pytest.raises(ValueError, match=r"@group_by_keys: .* 1 responses for 2 requests"):
        group_by_keys(lambda requests: requests[:1])(requests())


def test_errors_of_one_group_end_the_call() -> None:
    async def refuse(requests: list[Request]) -> Any:
        raise ArithmeticError(sorted(requests[0]))

    for function in (refuse, lambda requests: refuse(requests)):
        with pytest.raises(ArithmeticError, match="a"):
            outcomes(group_by_keys(function)(requests()))


def test_methods_and_arguments() -> None:
    class Service:
        @group_by_keys
        def infer(self, requests: list[Request], *, factor: int) -> Any:
            assert isinstance(self, Service)
            return [{"y": factor * sum(request.values())} for request in requests]

    responses = Service().infer(requests(), factor=2)
    assert [response["y"].tolist() for response in responses[:2]] == [[[6]], [[6]]]
