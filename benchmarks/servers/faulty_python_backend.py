# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
"""What faults are given to, as Triton's Python backend wants it; the model's name says which function."""

from __future__ import annotations

import os
import time

import numpy as np
import triton_python_backend_utils as pb_utils
from note import note

_STEP_S = 0.05


class TritonPythonModel:
    """One of the three models."""

    def initialize(self, args):
        """Take the function of the model's name."""
        self._function = {"identity": _identity, "faulty": _faulty, "slow": _slow}[args["model_name"]]
        if args["model_name"] == "identity":
            note("worker", os.getpid())

    def execute(self, requests):
        """Answer one batch."""
        return self._function(requests)


def _identity(requests):
    time.sleep(_STEP_S)
    return [_response(_given(request)) for request in requests]


def _faulty(requests):
    values = [float(_given(request)[0, 0]) for request in requests]
    if -1.0 in values:
        raise ValueError("what the function says")
    error = pb_utils.InferenceResponse(error=pb_utils.TritonError("what the function says"))
    size = np.full((1, 4), len(requests), np.float32)
    return [error if value == -2.0 else _response(size) for value in values]


def _slow(requests):
    (request,) = requests
    given = _given(request)
    note("began")
    end = time.monotonic() + float(given[0, 0])
    while time.monotonic() < end:
        if request.is_cancelled():
            note("saw")
            break
        time.sleep(_STEP_S)
    return [_response(given)]


def _given(request):
    return pb_utils.get_input_tensor_by_name(request, "INPUT_1").as_numpy()


def _response(array):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT_1", array)])
