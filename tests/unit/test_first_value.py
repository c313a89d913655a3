# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch, first_value, group_by_values
from pytriton.exceptions import PyTritonBadParameterError, PyTritonRuntimeError, PyTritonValidationError
from pytriton.request import Request
from tests.helpers.kinds import KINDS, outcomes
from tests.helpers.serving import describe_model, running_for

X = np.arange(3).reshape(3, 1)


def first_of(values: Any, **options: Any) -> Any:
    with running_for(describe_model()):
        return first_value("v", **options)(lambda x, v: (x, v))(x=X, v=np.asarray(values))[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_under_batch(kind: str) -> None:
    def function(x: Any, v: Any) -> dict[str, Any]:
        assert isinstance(v, np.float64)
        return {"y": x * v}

    decorated = batch(first_value("v")(KINDS[kind](function)))
    with running_for(describe_model()):
        for responses in outcomes(decorated([Request({"x": X, "v": np.full((3, 1), 2.0)})])):
            assert responses[0]["y"].tolist() == [[0], [2], [4]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_list_of_requests(kind: str) -> None:
    decorated = first_value("v", "optional")(
        KINDS[kind](lambda requests: [dict(r.items()) for r in requests])
    )
    requests = [Request({"x": X, "v": np.full((3, 1, 1), value)}, {"p": value}) for value in (1, 2)]
    with running_for(describe_model()):
        for responses in outcomes(decorated(requests)):
            assert [response["v"] for response in responses] == [1, 2]
            assert all(np.isscalar(response["v"]) and response["x"] is X for response in responses)
    assert requests[0]["v"].shape == (3, 1, 1)


def test_requests_keep_what_else_they_have() -> None:
    with running_for(describe_model()):
        (request,) = first_value("v")(list)([Request({"v": X[:1]}, {"p": 1})])
        (inputs,) = first_value("v")(list)([{"v": X[:1]}])
    assert (request.parameters, request["v"]) == ({"p": 1}, 0)
    assert inputs == {"v": 0}


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ([4, 4, 4], 4),
        ([[4]] * 3, 4),
        ([[[4]]] * 3, 4),
        ([[np.nan]] * 2, np.nan),
        (np.array([b"s", b"s"], object), b"s"),
        (np.array([[b"s"], [b"s"]], object), b"s"),
        (np.array(["s", "s"]), "s"),
        ([[True]] * 2, True),
    ],
)
def test_single_values_become_scalars(values: Any, first: Any) -> None:
    found = first_of(values)
    assert np.isscalar(found)
    assert found == first or (found != found and first != first)


def test_other_values_stay_arrays() -> None:
    assert first_of([[1, 2]] * 3).tolist() == [1, 2]
    assert first_of([[1]] * 3, squeeze_single_values=False).tolist() == [1]
    assert first_of(np.array([[b"a", b"b"]] * 2, object)).tolist() == [b"a", b"b"]


@pytest.mark.parametrize(
    "values", [[1, 2], [[1, 2], [1, 3]], np.array([[b"a", b"b"], [b"a", b"c"]], object), [[np.nan], [1.0]]]
)
def test_rows_that_differ(values: Any) -> None:
    with pytest.raises(PyTritonRuntimeError, match=r"(?s)'v' input are not equal: .*strict=False"):
        first_of(values)
    first_of(values, strict=False)


def test_first_of_each_group() -> None:
    @batch
    @group_by_values("v")
    @first_value("v")
    def function(x: Any, v: Any) -> dict[str, Any]:
        return {"y": x * v}

    with running_for(describe_model()):
        assert function([Request({"x": X, "v": X + 1})])[0]["y"].tolist() == [[0], [2], [6]]


def test_inputs_that_are_not_there() -> None:
    with running_for(describe_model()):
        assert first_value("v")(lambda **inputs: inputs)() == {}
        assert first_value("v")(lambda **inputs: inputs)(x=X)["x"] is X


def test_only_where_there_are_rows() -> None:
    with (
        running_for(describe_model(batching=False)),
        pytest.raises(PyTritonRuntimeError, match=r'only be used with models that support batching.*"m"'),
    ):
        first_value("v")(lambda v: v)(v=X)
    with pytest.raises(PyTritonValidationError, match="not bound to a model"):
        first_value("v")(lambda v: v)(v=X)


def test_names_that_are_no_inputs() -> None:
    with pytest.raises(PyTritonBadParameterError, match="not allowed as keys for @first_value"):
        first_value("v", "__triton_context__")


def test_methods() -> None:
    class Service:
        @first_value("v")
        def named(self, v: Any) -> Any:
            assert isinstance(self, Service)
            return v

        @first_value("v")
        def listed(self, requests: Any) -> Any:
            assert isinstance(self, Service)
            return requests

    with running_for(describe_model()):
        assert Service().named(v=X[:1]) == 0
        assert Service().listed([Request({"v": X[:1]})])[0]["v"] == 0
