# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pytriton.model_config as package
from pytriton.exceptions import PyTritonError, PyTritonValidationError
from pytriton.model_config import DeviceKind, DynamicBatcher, ModelConfig, QueuePolicy, Tensor, TimeoutAction
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig

X = Tensor((-1,), np.float32)
Y = Tensor((3,), bytes, "y")


def test_the_package_has_the_public_names() -> None:
    assert package.__all__ == [
        "DeviceKind",
        "DynamicBatcher",
        "ModelConfig",
        "QueuePolicy",
        "Tensor",
        "TimeoutAction",
    ]


def test_model_config_defaults() -> None:
    config = ModelConfig()

    assert config.batching is True
    assert config.max_batch_size == 4
    assert config.batcher == DynamicBatcher()
    assert config.response_cache is False
    assert config.decoupled is False
    assert config.model_warmup is None
    assert config.batcher is not ModelConfig().batcher


def test_batcher_and_policy_defaults() -> None:
    assert DynamicBatcher() == DynamicBatcher(0, None, False, 0, 0, None, None)
    assert QueuePolicy() == QueuePolicy(TimeoutAction.REJECT, 0, False, 0)


@pytest.mark.parametrize("kind", [DeviceKind, TimeoutAction])
def test_enum_values_equal_their_names(kind: Any) -> None:
    assert all(member.value == member.name for member in kind)


@pytest.mark.parametrize("cls", [ModelConfig, DynamicBatcher, QueuePolicy])
def test_unknown_options_are_refused(cls: Any) -> None:
    with pytest.raises(TypeError, match="max_bath_size"):
        cls(max_bath_size=1)


def test_options_can_be_changed_after_construction() -> None:
    config = ModelConfig()
    config.max_batch_size = 8
    assert config.batcher is not None
    config.batcher.preserve_ordering = True

    assert config == ModelConfig(max_batch_size=8, batcher=DynamicBatcher(preserve_ordering=True))


def test_warmup_types() -> None:
    item = WarmupInput(np.float32, (3,))

    assert (item.zero_data, item.random_data, item.input_data_file) == (False, False, None)
    assert ModelWarmup("w", 2, {"x": item}, 1).inputs == {"x": item}


def test_triton_model_config_defaults() -> None:
    model = TritonModelConfig("m")

    assert (model.model_version, model.max_batch_size, model.batching) == (1, 4, True)
    assert (model.batcher, model.instance_group, model.backend_parameters) == (None, {}, {})
    assert (model.inputs, model.outputs, model.response_cache, model.model_warmup) == (None, None, None, None)
    assert model.backend == "pytriton"


def test_tensor_spec_knows_its_datatype() -> None:
    spec = TensorSpec("x", (1,), np.int8)

    assert spec.optional is False
    assert spec.datatype.name == "INT8"


def test_create_describes_a_bound_model() -> None:
    batcher = DynamicBatcher(max_queue_delay_microseconds=7)
    model = TritonModelConfig.create(
        "m",
        [X, Tensor((2, 2), np.int8, "named", optional=True), X],
        [X, Y],
        ModelConfig(max_batch_size=9, batcher=batcher, response_cache=True),
        model_version=3,
        instances=2,
    )

    assert model == TritonModelConfig(
        model_name="m",
        model_version=3,
        max_batch_size=9,
        batching=True,
        batcher=DynamicBatcher(max_queue_delay_microseconds=7),
        instance_group={DeviceKind.KIND_CPU: 2},
        inputs=[
            TensorSpec("INPUT_1", (-1,), np.float32),
            TensorSpec("named", (2, 2), np.int8, optional=True),
            TensorSpec("INPUT_3", (-1,), np.float32),
        ],
        outputs=[TensorSpec("OUTPUT_1", (-1,), np.float32), TensorSpec("y", (3,), bytes)],
        response_cache=ResponseCache(enable=True),
    )


def test_create_uses_the_default_options_when_there_are_none() -> None:
    model = TritonModelConfig.create("m", [X], [X])

    assert model.batcher == DynamicBatcher()
    assert model.response_cache is None
    assert model.decoupled is False


def test_changing_the_options_later_changes_nothing() -> None:
    config = ModelConfig(batcher=DynamicBatcher(default_queue_policy=QueuePolicy()))
    model = TritonModelConfig.create("m", [X], [X], config)
    assert config.batcher is not None
    assert config.batcher.default_queue_policy is not None
    config.batcher.default_queue_policy.max_queue_size = 5

    assert model.batcher == DynamicBatcher(default_queue_policy=QueuePolicy())


def test_an_input_and_an_output_may_share_a_name() -> None:
    model = TritonModelConfig.create("m", [Y], [Y])

    assert model.inputs == model.outputs


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("a/b", [X], [X]), "Model name can only contain"),
        (("m", X, [X]), 'inputs of model "m" must be a sequence of Tensor, got Tensor'),
        (("m", [X], "y"), 'outputs of model "m" must be a sequence of Tensor, got str'),
        (("m", [X, np.float32], [X]), 'model "m", input 2: expected a Tensor'),
        (("m", [Y, X, Y], [X]), 'model "m": two inputs are named "y"'),
        (("m", [X, Tensor((1,), bytes, "INPUT_1")], [X]), 'two inputs are named "INPUT_1"'),
        (("m", [X], [Y, Y]), 'model "m": two outputs are named "y"'),
        (("m", [X], [X, Tensor((1,), bytes, optional=True)]), "Output tensors cannot be optional"),
        (("m", [X], [X], {"max_batch_size": 4}), 'config of model "m" must be a ModelConfig'),
        (
            ("m", [Tensor((), np.int8)], [X], ModelConfig(batching=False)),
            r'model "m", input "INPUT_1": .*\(1,\)',
        ),
        (("m", [X], [Tensor((), np.int8)], ModelConfig(batching=False)), 'output "OUTPUT_1": a scalar needs'),
        (("m", [Tensor((1,) * 16, np.int8)], [X]), "at most 15 are possible besides the batch"),
    ],
)
def test_create_refuses_what_does_not_fit(arguments: tuple[Any, ...], match: str) -> None:
    with pytest.raises(PyTritonValidationError, match=match):
        TritonModelConfig.create(*arguments)


@pytest.mark.parametrize("inputs", [[], (), [Tensor((1,), bytes, optional=True)]])
def test_models_need_no_required_input(inputs: Any) -> None:
    assert len(TritonModelConfig.create("m", inputs, []).inputs or ()) == len(inputs)


def test_sixteen_dimensions_are_possible_without_batching() -> None:
    model = TritonModelConfig.create("m", [Tensor((1,) * 16, np.int8)], [X], ModelConfig(batching=False))

    assert model.inputs is not None
    assert len(model.inputs[0].shape) == 16


def test_scalars_are_possible_with_batching() -> None:
    model = TritonModelConfig.create("m", [Tensor((), np.int8)], [Tensor((), bytes)])

    assert model.inputs == [TensorSpec("INPUT_1", (), np.int8)]


def test_every_failure_is_one_of_ours() -> None:
    with pytest.raises(PyTritonError):
        TritonModelConfig.create("m", [X], [X], ModelConfig(max_batch_size=0))
