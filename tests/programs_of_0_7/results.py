# SPDX-License-Identifier: Apache-2.0
"""What functions may return, and what becomes of the rest."""

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

INPUTS = [Tensor(name="x", dtype=np.float32, shape=(1,))]
OUTPUTS = [Tensor(name="y", dtype=np.float32, shape=(1,)), Tensor(name="z", dtype=np.int32, shape=(1,))]
Y, Z = np.ones((1, 1), np.float32), np.ones((1, 1), np.int32)
RESULTS = {
    "both": [{"y": Y, "z": Z}],
    "other order": [{"z": Z, "y": Y}],
    "one of two": [{"z": Z}],
    "none": [{}],
    "one too many": [{"y": Y, "z": Z, "w": Z}],
    "a tuple": ({"y": Y, "z": Z},),
    "a dict": {"y": Y, "z": Z},
    "nothing": None,
    "no list": [Y],
    "too short": [],
    "too long": [{"y": Y, "z": Z}] * 2,
    "numbers": [{"y": 1.0, "z": 1}],
    "lists": [{"y": [[1.0]], "z": [[1]]}],
    "complex": [{"y": Y.astype(np.complex64), "z": Z}],
    "key": [{1: Y}],
}


def returning(result):
    return lambda requests: result


def asks(requests):
    say("asked for", [sorted(request.requested_output_names) for request in requests])
    return [{"y": Y, "z": Z} for _ in requests]


with Triton() as triton:
    for strict in (False, True):
        for number, result in enumerate(RESULTS.values()):
            name = f"m{number}{'s' if strict else ''}"
            triton.bind(
                name, returning(result), INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=1), strict=strict
            )
    triton.bind("asks", asks, INPUTS, OUTPUTS)
    for strict in (False, True):
        for number, label in enumerate(RESULTS):
            with ModelClient(HTTP, f"m{number}{'s' if strict else ''}") as client:
                attempt(label + (", strict" if strict else ""), client.infer_batch, Y)
    with ModelClient(HTTP, "asks") as client:
        say("asks", client.infer_batch(Y))
