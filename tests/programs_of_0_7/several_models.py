# SPDX-License-Identifier: Apache-2.0
"""Several models, bound early and late, and names that are refused."""

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import batch, triton_context
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]


class Both:
    @batch
    def add(self, **inputs):
        a, b = inputs.values()
        return [a + b]

    @batch
    @triton_context
    def sub(self, triton_context, INPUT_1, INPUT_2):
        names = sorted(config.model_name for config in triton_context.model_configs.values())
        say("the context knows", names)
        say("of itself", triton_context.model_configs[self.sub].model_name)
        say("of its neighbour", triton_context.model_configs[self.add].model_name)
        return [INPUT_1 - INPUT_2]


@batch
def negate(INPUT_1):
    return [-INPUT_1]


both = Both()
triton = Triton()
say("before", triton.is_alive(), triton.is_connected())
triton.bind("Add", both.add, FLOATS * 2, FLOATS)
triton.bind("Sub", both.sub, FLOATS * 2, FLOATS)
say("bound", triton.is_alive(), triton.is_connected())
triton.run()
say("running", triton.is_alive(), triton.is_connected())
triton.run()
triton.bind("Late-1.0_x", negate, FLOATS, FLOATS, config=ModelConfig(max_batch_size=2))
a, b = np.array([3], np.float32), np.array([1], np.float32)
for name, values in {"Add": (a, b), "Sub": (a, b), "Late-1.0_x": (a,)}.items():
    with ModelClient(HTTP, name) as client:
        say(name, client.infer_sample(*values), client.model_config.max_batch_size)
for name in ("", "a/b", "a b", "ä", "a:b"):
    attempt(f"name {name!r}", triton.bind, name, negate, FLOATS, FLOATS)
attempt("the same again", triton.bind, "Add", negate, FLOATS, FLOATS, words=["Add"])
attempt("in other letters", triton.bind, "ADD", negate, FLOATS, FLOATS)
attempt("no function", triton.bind, "none", 5, FLOATS, FLOATS)
attempt("None", triton.bind, "none", None, FLOATS, FLOATS)
optional = [Tensor(dtype=np.float32, shape=(1,), optional=True)]
attempt("optional output", triton.bind, "opt", negate, FLOATS, optional)
say("alive all the same", triton.is_alive())
with ModelClient(HTTP, "Add") as client:
    say("serves on", client.infer_sample(a, b))
say("stop", triton.stop(), triton.stop())
say("after", triton.is_alive(), triton.is_connected())
