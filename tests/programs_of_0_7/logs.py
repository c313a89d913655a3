# SPDX-License-Identifier: Apache-2.0
"""What the loggers of the package say, and with which levels."""

import io
import logging

import numpy as np
from seen import HTTP, say

from pytriton.client import ModelClient
from pytriton.client.exceptions import PyTritonClientInferenceServerError
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import Triton, TritonConfig

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
lines = io.StringIO()
handler = logging.StreamHandler(lines)
handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
logging.getLogger("pytriton").addHandler(handler)
logging.getLogger("pytriton").setLevel(logging.INFO)


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


@batch
def fails(INPUT_1):
    raise ValueError("of the function")


def logged(*words):
    return any(all(word in line for word in words) for line in lines.getvalue().splitlines())


say("no handlers of its own", len(logging.getLogger("pytriton").handlers), logging.getLogger().handlers)
triton = Triton(config=TritonConfig(log_verbose=1))
triton.bind("m", double, FLOATS, FLOATS)
triton.bind("fails", fails, FLOATS, FLOATS)
triton.run()
with ModelClient(HTTP, "m") as client:
    say("verbose", client.infer_sample(np.ones(1, np.float32)))
with ModelClient(HTTP, "fails") as client:
    try:
        client.infer_sample(np.ones(1, np.float32))
    except PyTritonClientInferenceServerError as error:
        say("failed", "of the function" in error.message)
triton.stop()
say("where", logged("INFO pytriton.triton ", "/v2/models/m/infer"), logged("/v2/models/fails/infer"))
say("how to end it", logged("INFO pytriton.triton ", "kill -SIGINT"))
say(
    "warned",
    logged("WARNING pytriton.triton ", "Triton Inference Server is running with enabled verbose logs"),
)
say("the function's error", logged("ValueError: of the function"))
