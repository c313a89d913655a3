# SPDX-License-Identifier: Apache-2.0
"""How a session comes to know its model, and what it says when its time is up."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from pytriton.client import ModelClient
from pytriton.client._core.flow import Exchange
from pytriton.client._core.operations import GetConfig, GetMetadata, Operation, ServerMetadata
from pytriton.client.exceptions import (
    PyTritonClientConnectionError,
    PyTritonClientInferenceServerError,
    PyTritonClientTimeoutError,
)
from pytriton.exceptions import ErrorCode

UNKNOWN = PyTritonClientInferenceServerError("Request for unknown model", ErrorCode.NOT_FOUND)
LATE = PyTritonClientConnectionError("no connection within 0.001 s")


def connect(answers: list[Exception]) -> None:
    with ModelClient("localhost:1", "nope") as client:
        steps = client._session.connect(1e-9)
        step = next(steps)
        for answer in answers:
            assert isinstance(step, Exchange)
            step = steps.throw(answer)


@pytest.mark.parametrize("answers", [[UNKNOWN, LATE], [UNKNOWN, UNKNOWN, UNKNOWN, LATE]])
def test_the_model_is_what_was_waited_for(answers: list[Exception]) -> None:
    with pytest.raises(PyTritonClientTimeoutError, match="Waiting for model nope/<latest>") as caught:
        connect(answers)
    assert type(caught.value) is PyTritonClientTimeoutError
    assert "unknown model" in str(caught.value)


def test_a_model_that_comes_between_two_questions_is_asked_again() -> None:
    tensor = {"name": "x", "data_type": "TYPE_FP32", "dims": ["1"], "reshape": {"shape": []}}
    config = {"name": "m", "backend": "pytriton", "max_batch_size": 8, "input": [tensor], "output": [tensor]}
    metadata = {"name": "x", "datatype": "FP32", "shape": ["-1", "1"]}
    answers: dict[type[Operation], list[Any]] = {
        GetConfig: [UNKNOWN, config],
        GetMetadata: [{"name": "m", "versions": ["1"], "inputs": [metadata], "outputs": [metadata]}],
        ServerMetadata: [{"name": "triton", "extensions": ["model_configuration", "binary_tensor_data"]}],
    }
    with ModelClient("localhost:1", "m") as client:
        steps = client._session.connect(20.0)
        step = next(steps)
        with contextlib.suppress(StopIteration):
            while True:
                answer = answers[type(step.operation)].pop(0) if isinstance(step, Exchange) else None
                step = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
        assert client._session.config is not None
        assert client._session.config.outputs is not None
        assert client._session.config.outputs[0].shape == ()
