# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytriton.batching.whole import takes_whole_batch
from pytriton.decorators import batch, fill_optionals, group_by_keys
from pytriton.exceptions import PyTritonBadParameterError, PyTritonValidationError
from pytriton.model_config import Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request, RequestBatch
from tests.helpers.kinds import KINDS, Function, outcomes
from tests.helpers.records import Records
from tests.helpers.serving import describe_model, running_for

X = Tensor((2,), np.int64, name="x")


def model_with(dtype: Any = np.int64, shape: tuple[int, ...] = (2,), **options: Any) -> TritonModelConfig:
    return describe_model([X, Tensor(shape, dtype, name="y", optional=True)], **options)


def requests() -> list[Request]:
    return [
        Request({"x": np.ones((1, 2), np.int64)}),
        Request({"x": np.ones((3, 2), np.int64), "y": np.zeros((3, 2), np.int64)}),
        Request({"x": np.ones((2, 2), np.int64)}, {"parameter": 1}),
    ]


def copies(requests: Any) -> list[dict[str, Any]]:
    return [dict(request.items()) for request in requests]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str) -> None:
    decorated = fill_optionals(y=np.array([7, 8]))(KINDS[kind](copies))
    with running_for(model_with()):
        for responses in outcomes(decorated(requests())):
            assert [response["y"].tolist() for response in responses] == [
                [[7, 8]],
                [[0, 0]] * 3,
                [[7, 8]] * 2,
            ]


def test_parameters_stay() -> None:
    with running_for(model_with()):
        seen = fill_optionals(y=np.array([7, 8]))(list)(requests())
    assert [request.parameters for request in seen] == [None, None, {"parameter": 1}]


def test_defaults_belong_to_nobody() -> None:
    default = np.array([7, 8])

    @fill_optionals(y=default)
    def scribble(requests: Any) -> Any:
        for request in requests:
            request["y"][...] = -1

    with running_for(model_with()):
        scribble(requests())
    with running_for(model_with(batching=False)):
        scribble([Request({"x": np.ones(2, np.int64)})])
    assert default.tolist() == [7, 8]


@pytest.mark.parametrize("decorate", [batch, lambda function: group_by_keys(batch(function))])
def test_whole_batch_stays_whole(decorate: Callable[[Function], Function]) -> None:
    function = fill_optionals(y=np.array([7, 8]))(decorate(lambda x, y: {"x": x, "y": y}))
    assert takes_whole_batch(function)
    x = np.ones((4, 2), np.int64)
    whole = RequestBatch({"x": x}, Records(1, 3), total_rows=4, batching=True)
    with running_for(model_with()):
        result = function(whole)
    assert whole.untouched
    assert result.outputs["x"] is x
    assert result.outputs["y"].tolist() == [[7, 8]] * 4
    assert "y" not in whole.inputs


def test_spans_stay() -> None:
    whole = RequestBatch({"x": np.ones((1, 2), np.int64)}, Records(1), total_rows=1, batching=True)
    whole.spans = ["span"]
    with running_for(model_with()):
        (request,) = fill_optionals(y=np.array([7, 8]))(list)(whole)
    assert request.span == "span"


def test_requests_without_any_input() -> None:
    """Their number of rows is known of the batch alone."""
    function = fill_optionals(y=np.array([7, 8]))(list)
    with running_for(model_with()):
        (request,) = function(RequestBatch({}, Records(3), total_rows=3, batching=True))
        assert request["y"].tolist() == [[7, 8]] * 3
        with pytest.raises(PyTritonValidationError, match="no batch size"):
            function([Request({})])


def test_without_batching_there_are_no_rows() -> None:
    with running_for(model_with(batching=False)):
        (response,) = fill_optionals(y=np.array([7, 8]))(copies)([Request({"x": np.ones(2, np.int64)})])
    assert response["y"].tolist() == [7, 8]


@pytest.mark.parametrize("declared", [bytes, str, object, np.bytes_, np.dtype("S5"), "bytes"])
@pytest.mark.parametrize(
    "default",
    [
        np.array([b"one", b"longer"]),
        np.array(["one", "longer"]),
        np.array([b"one", b"longer"], dtype=object),
        np.array(["one", "longer"], dtype=object),
    ],
)
def test_strings_whatever_they_are_declared_as(declared: Any, default: Any) -> None:
    with running_for(model_with(declared)):
        responses = fill_optionals(y=default)(copies)(requests()[:1])
    assert responses[0]["y"].dtype == object
    assert responses[0]["y"].tolist() == [[b"one", b"longer"]]


def test_bfloat16() -> None:
    with running_for(model_with("bfloat16")):
        responses = fill_optionals(y=np.array([1.5, 2], ml_dtypes.bfloat16))(copies)(requests()[:1])
    assert responses[0]["y"].dtype == ml_dtypes.bfloat16


def test_dimensions_that_vary() -> None:
    with running_for(model_with(shape=(-1,))):
        responses = fill_optionals(y=np.array([1, 2, 3, 4]))(copies)(requests()[:1])
    assert responses[0]["y"].shape == (1, 4)


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"z": np.zeros(2)}, r'model "m", input "z": no such input .*"x", "y"'),
        ({"y": 1}, 'model "m", input "y": .*y=1 .* not NumPy arrays'),
        ({"y": np.zeros(2)}, 'model "m", input "y": .*dtype=float64, .*INT64 is declared'),
        ({"y": np.zeros(2, np.int32)}, "dtype=int32"),
        ({"y": np.zeros(2, complex)}, "dtype=complex128"),
        ({"y": np.array([b"1", b"2"])}, r"dtype=\|S1"),
        ({"y": np.zeros((1, 2), np.int64)}, r'"y": .*shape=\(1, 2\), .*\(2,\) is declared'),
        ({"y": np.zeros(3, np.int64)}, r"shape=\(3,\)"),
    ],
)
def test_defaults_that_do_not_fit(defaults: Any, message: str) -> None:
    decorated = fill_optionals(**defaults)(copies)
    with running_for(model_with()):
        for _ in range(2):
            with pytest.raises(PyTritonBadParameterError, match=message):
                decorated(requests())


def test_two_models_of_one_function() -> None:
    decorated = fill_optionals(y=np.array([7, 8]))(copies)
    with running_for(model_with()):
        decorated(requests())
    with (
        running_for(model_with(np.float32)),
        pytest.raises(PyTritonBadParameterError, match="FP32 is declared"),
    ):
        decorated(requests())


def test_needs_a_model() -> None:
    with pytest.raises(PyTritonValidationError, match="not bound to a model"):
        fill_optionals(y=np.array([7, 8]))(copies)(requests())


def test_methods() -> None:
    class Service:
        @fill_optionals(y=np.array([7, 8]))
        @batch
        def infer(self, x: Any, y: Any) -> Any:
            assert isinstance(self, Service)
            return {"y": y}

        @fill_optionals(y=np.array([7, 8]))
        def __call__(self, requests: Any) -> Any:
            assert isinstance(self, Service)
            return copies(requests)

    with running_for(model_with()):
        for function in (Service().infer, Service()):
            (response,) = function(requests()[:1])
            assert response["y"].tolist() == [[7, 8]]
