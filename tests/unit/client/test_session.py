# SPDX-License-Identifier: Apache-2.0
"""What a session says when its time is up, whatever the last look at the server came to."""

from __future__ import annotations

import pytest

from pytriton.client import ModelClient
from pytriton.client._flow import Exchange
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
