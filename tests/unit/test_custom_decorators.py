# SPDX-License-Identifier: Apache-2.0
"""Decorators of one's own, made with wrapt or with functools, among ours."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import (
    batch,
    convert_output,
    first_value,
    get_inference_request_batch_size,
    get_model_config,
    group_by_values,
    pad_batch,
    sample,
    triton_context,
)
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import Tensor
from pytriton.request import Request
from tests.helpers.serving import describe_model, running_for, serving
from tests.helpers.wrapt_decorators import by_position, decorator, double_inputs, note

X = np.ones((2, 3), np.float32)
MODEL = describe_model(
    outputs=[Tensor((-1,), np.float32, name="first"), Tensor((-1,), np.float32, name="second")]
)


class Service:
    def __init__(self) -> None:
        self.notes: list[Any] = []

    @note
    @batch
    @double_inputs
    @by_position
    def infer(self, x: Any) -> Any:
        assert isinstance(self, Service)
        return [x, -x]

    @note
    @batch
    @note
    @pad_batch
    @note
    @group_by_values("x")
    @note
    @triton_context
    @note
    def stack(self, x: Any, triton_context: Any) -> Any:
        return [x, triton_context.model_configs[self.stack].max_batch_size * x]

    @sample
    @note
    @first_value("x")
    @note
    def one(self, x: Any) -> Any:
        return [x, x]


def test_functions() -> None:
    @note
    @batch
    @double_inputs
    @by_position
    def infer(x: Any) -> Any:
        return [x, -x]

    with running_for(MODEL):
        (response,) = infer([Request({"x": X})])
    assert response["first"].tolist() == (2 * X).tolist()
    assert response["second"].tolist() == (-2 * X).tolist()
    assert infer.notes == [None]


def test_methods_are_told_from_functions() -> None:
    service = Service()
    with running_for(MODEL):
        (response,) = service.infer([Request({"x": X})])
        assert response["second"].tolist() == (-2 * X).tolist()
        assert service.notes == [service]
        (response,) = service.stack([Request({"x": X})])
        assert response["second"].shape == X.shape
        (response,) = service.one([Request({"x": X})])
        assert response["first"].shape == X.shape[1:]
    assert service.notes == [service] * 8


def test_served() -> None:
    @batch
    @by_position
    def infer(INPUT_1: Any) -> Any:
        return [INPUT_1]

    class Object:
        @batch
        @by_position
        def infer(self, INPUT_1: Any) -> Any:
            assert isinstance(self, Object)
            return [INPUT_1]

    for function in (infer, Object().infer):
        with serving(function) as served:
            np.testing.assert_array_equal(served.echo(X).output(), X)


def test_served_above_batch() -> None:
    class Object:
        def __init__(self) -> None:
            self.notes: list[Any] = []

        @note
        @batch
        def infer(self, INPUT_1: Any) -> Any:
            return [INPUT_1]

        @note
        @batch
        def __call__(self, INPUT_1: Any) -> Any:
            return [INPUT_1]

    owner = Object()
    for count, function in enumerate((owner.infer, owner), start=1):
        with serving(function) as served:
            np.testing.assert_array_equal(served.echo(X).output(request=0), X)
        assert owner.notes == [owner] * count


def test_served_above_batch_gets_requests() -> None:
    seen: list[type] = []

    @decorator
    def look(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(type(args[0]))
        return wrapped(*args, **kwargs)

    class Object:
        @look
        @batch
        def infer(self, INPUT_1: Any) -> Any:
            return [INPUT_1]

    with serving(Object().infer) as served:
        served.echo(X)
    assert seen == [list]


def test_generators_stay_generators() -> None:
    @note
    @batch
    @double_inputs
    def infer(x: Any) -> Iterator[Any]:
        yield {"y": x}
        yield {"y": x + 1}

    with running_for(MODEL):
        steps = [step[0]["y"][0, 0] for step in infer([Request({"x": X})])]
    assert steps == [2, 3]


def test_made_with_functools() -> None:
    def scaled(factor: float) -> Callable[..., Any]:
        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def wrapper(requests: Any) -> Any:
                sizes = [get_inference_request_batch_size(request) for request in requests]
                return [
                    {**response, "second": factor * np.full(size, size)}
                    for size, response in zip(sizes, function(requests), strict=True)
                ]

            return wrapper

        return decorate

    @scaled(10)
    @batch
    def infer(x: Any) -> Any:
        return {"first": x}

    responses = infer([Request({"x": X}), Request({"x": X[:1]})])
    assert [response["second"].tolist() for response in responses] == [[20, 20], [10]]


def test_outputs_by_name() -> None:
    def function() -> None: ...

    assert convert_output({"y": X}) == {"y": X}
    assert list(convert_output([X, X], model_config=MODEL)) == ["first", "second"]
    with running_for(MODEL):
        assert list(convert_output((X, X), function)) == ["first", "second"]
        assert list(convert_output([X, X])) == ["first", "second"]
        assert get_model_config(function, None) is MODEL
        with pytest.raises(PyTritonValidationError, match="returned 1 outputs"):
            convert_output([X], function)
        with pytest.raises(PyTritonValidationError, match="Unsupported output type"):
            convert_output(X, function)
    with pytest.raises(PyTritonValidationError, match="no Triton context"):
        convert_output([X], function)
    with pytest.raises(PyTritonValidationError, match="not bound to a model"):
        convert_output([X])


def test_batch_size() -> None:
    assert get_inference_request_batch_size({"x": X, "y": X[:1]}) == 2
    for inputs in ({}, {"x": np.zeros(())}):
        with pytest.raises(PyTritonValidationError, match="no batch size"):
            get_inference_request_batch_size(Request(inputs))


def test_wrapt_sees_what_it_decorates() -> None:
    def refuse(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        raise ArithmeticError(wrapped.__name__)

    @batch
    @decorator(refuse)
    def infer(x: Any) -> Any: ...

    with pytest.raises(ArithmeticError, match="infer"):
        infer([Request({"x": X})])
