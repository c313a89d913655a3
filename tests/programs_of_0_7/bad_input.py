# SPDX-License-Identifier: Apache-2.0
"""What bind() and the classes of the configuration refuse."""

import numpy as np
from seen import HTTP, attempt, say

from pytriton.client import ModelClient
from pytriton.decorators import ConstantPadder, batch, first_value
from pytriton.model_config import DeviceKind, DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.parser import ModelConfigParser
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig
from pytriton.proxy.types import Request
from pytriton.triton import Triton

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


def generate(**options):
    return ModelConfigGenerator(TritonModelConfig(model_name="m", **options)).get_config()


spec = TensorSpec(name="x", shape=(1,), dtype=np.float32)
say(
    "config",
    generate(
        inputs=[spec], outputs=[spec], batcher=DynamicBatcher(), instance_group={DeviceKind.KIND_CPU: 2}
    ),
)
say("cache", generate(response_cache=ResponseCache(enable=True), batching=False))
policy = {1: QueuePolicy(max_queue_size=2)}
for label, options in {
    "no rows": {"max_batch_size": 0},
    "level above": {"batcher": DynamicBatcher(default_priority_level=2, priority_levels=1)},
    "policies without levels": {"batcher": DynamicBatcher(priority_queue_policy=policy)},
    "policy above": {
        "batcher": DynamicBatcher(
            priority_levels=2, default_priority_level=1, priority_queue_policy={3: policy[1]}
        )
    },
    "policy below": {
        "batcher": DynamicBatcher(
            priority_levels=2, default_priority_level=1, priority_queue_policy={-1: policy[1]}
        )
    },
    "optional output": {"outputs": [TensorSpec(name="y", shape=(1,), dtype=np.float32, optional=True)]},
}.items():
    attempt(label, generate, **options)
for label, document in {
    "no name": {},
    "no dims": {"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32"}]},
    "no dtype": {"name": "m", "input": [{"name": "x", "dims": ["1"]}]},
    "no TYPE_": {"name": "m", "input": [{"name": "x", "dims": ["1"], "data_type": "FP32"}]},
    "unknown dtype": {"name": "m", "input": [{"name": "x", "dims": ["1"], "data_type": "TYPE_FP99"}]},
}.items():
    attempt("parse " + label, ModelConfigParser.from_dict, document)
parsed = ModelConfigParser.from_dict(
    {"name": "m", "max_batch_size": 3, "input": [{"name": "x", "dims": ["2"], "data_type": "TYPE_STRING"}]}
)
say(
    "parsed",
    parsed.model_name,
    parsed.max_batch_size,
    parsed.batching,
    parsed.inputs[0].name,
    parsed.inputs[0].shape,
)
attempt("frozen", lambda: setattr(FLOATS[0], "name", "x"))
say(
    "tensor",
    Tensor((1,), np.dtype("float32")) == Tensor(shape=(1,), dtype=np.float32),
    hash(FLOATS[0]) is not None,
)
attempt("context key", first_value, "__triton_context__")
pads = [{"x": np.ones((1, 1), np.float32)}, {"x": np.ones((1, 2), np.int32)}]
attempt("padder", ConstantPadder(0), pads)
attempt(
    "other inputs",
    batch(lambda **inputs: inputs),
    [Request({"a": np.ones((1, 1))}), Request({"b": np.ones((1, 1))})],
)
attempt("unbound list", double, [Request({"INPUT_1": np.ones((1, 1), np.float32)})])
attempt("no output", batch(lambda **inputs: 5), [Request({"a": np.ones((1, 1))})])

CASES = {
    "complex": lambda: {"inputs": [Tensor(dtype=np.complex64, shape=(1,))]},
    "rows 0": lambda: {"config": ModelConfig(max_batch_size=0)},
    "preferred": lambda: {"config": ModelConfig(True, 2, DynamicBatcher(preferred_batch_size=[8]))},
    "levels": lambda: {
        "config": ModelConfig(batcher=DynamicBatcher(priority_levels=1, default_priority_level=2))
    },
    "stream and cache": lambda: {"config": ModelConfig(decoupled=True, response_cache=True)},
    "an input twice": lambda: {"inputs": [Tensor(name="x", dtype=np.float32, shape=(1,))] * 2},
}


def bind(label):
    options = {"inputs": FLOATS, "outputs": FLOATS, **CASES[label]()}
    triton.bind("bad-" + label.replace(" ", "-"), double, **options)


triton = Triton()
triton.run()
for label in CASES:
    attempt("bind " + label, bind, label)
triton.bind("good", double, FLOATS, FLOATS)
with ModelClient(HTTP, "good", init_timeout_s=20) as client:
    attempt("others serve", client.infer_sample, np.ones(1, np.float32))
say("alive", triton.is_alive())
triton.stop()
