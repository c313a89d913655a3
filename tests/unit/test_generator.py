# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.dtypes import DATATYPES
from pytriton.exceptions import PyTritonBadParameterError
from pytriton.model_config import DeviceKind, DynamicBatcher, ModelConfig, QueuePolicy, Tensor, TimeoutAction
from pytriton.model_config.common import ModelWarmup, WarmupInput
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig

POLICY = QueuePolicy(
    timeout_action=TimeoutAction.DELAY,
    default_timeout_microseconds=100,
    allow_timeout_override=True,
    max_queue_size=2,
)
POLICY_JSON = {
    "timeoutAction": "DELAY",
    "defaultTimeoutMicroseconds": 100,
    "allowTimeoutOverride": True,
    "maxQueueSize": 2,
}


def config_of(**changes: Any) -> dict[str, Any]:
    return ModelConfigGenerator(TritonModelConfig("simple", **changes)).get_config()


def batching_of(**batcher: Any) -> Any:
    return config_of(max_batch_size=16, batcher=DynamicBatcher(**batcher))["dynamic_batching"]


def test_a_minimal_model() -> None:
    assert config_of() == {"name": "simple", "backend": "pytriton", "max_batch_size": 4}


def test_batching_off_is_a_batch_size_of_zero() -> None:
    config = config_of(batching=False, max_batch_size=128, batcher=DynamicBatcher(preferred_batch_size=[3]))

    assert config["max_batch_size"] == 0
    assert "dynamic_batching" not in config


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_at_least_one_row(size: int) -> None:
    with pytest.raises(PyTritonBadParameterError, match="must be greater or equal to 1"):
        config_of(max_batch_size=size)


@pytest.mark.parametrize(
    ("batcher", "expected"),
    [
        ({}, {}),
        ({"max_queue_delay_microseconds": 100}, {"maxQueueDelayMicroseconds": 100}),
        ({"preferred_batch_size": [8, 16]}, {"preferredBatchSize": [8, 16]}),
        ({"preferred_batch_size": []}, {}),
        ({"preserve_ordering": True}, {"preserveOrdering": True}),
        (
            {"priority_levels": 3, "default_priority_level": 1},
            {"priorityLevels": 3, "defaultPriorityLevel": 1},
        ),
        ({"default_queue_policy": POLICY}, {"defaultQueuePolicy": POLICY_JSON}),
        (
            {"priority_levels": 3, "default_priority_level": 2, "priority_queue_policy": {2: POLICY}},
            {"priorityLevels": 3, "defaultPriorityLevel": 2, "priorityQueuePolicy": {2: POLICY_JSON}},
        ),
        (
            {"default_queue_policy": QueuePolicy()},
            {
                "defaultQueuePolicy": {
                    "timeoutAction": "REJECT",
                    "defaultTimeoutMicroseconds": 0,
                    "allowTimeoutOverride": False,
                    "maxQueueSize": 0,
                }
            },
        ),
    ],
)
def test_the_batcher_has_only_what_differs_from_the_defaults(
    batcher: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert batching_of(**batcher) == expected


@pytest.mark.parametrize(
    ("batcher", "match"),
    [
        ({"priority_levels": 5, "default_priority_level": 6}, "must be between 1 and 5."),
        ({"priority_queue_policy": {1: POLICY}}, "Provide the `priority_levels` if you want"),
        (
            {"priority_levels": 5, "default_priority_level": 2, "priority_queue_policy": {6: POLICY}},
            "Invalid `priority`=6 provided. The value must be between 1 and 5.",
        ),
    ],
)
def test_priorities_out_of_range_are_refused(batcher: dict[str, Any], match: str) -> None:
    with pytest.raises(PyTritonBadParameterError, match=match):
        batching_of(**batcher)


def test_numpy_numbers_become_plain_ones() -> None:
    config = config_of(
        max_batch_size=np.int64(8),
        batcher=DynamicBatcher(
            max_queue_delay_microseconds=np.int64(1),  # type: ignore[arg-type]
            preferred_batch_size=[np.int8(8)],  # type: ignore[list-item]
            priority_levels=np.uint8(2),  # type: ignore[arg-type]
            default_priority_level=np.uint8(1),  # type: ignore[arg-type]
            priority_queue_policy={np.int64(1): POLICY},  # type: ignore[dict-item]
        ),
    )

    assert json.loads(json.dumps(config))["dynamic_batching"]["preferredBatchSize"] == [8]


@pytest.mark.parametrize("row", DATATYPES, ids=lambda row: row.name)
def test_tensors_of_every_datatype(row: Any) -> None:
    config = config_of(
        inputs=[TensorSpec("x", (-1, 2), row.name)], outputs=[TensorSpec("y", (3,), row.config_name)]
    )

    assert config["input"] == [{"name": "x", "data_type": row.config_name, "dims": [-1, 2]}]
    assert config["output"] == [{"name": "y", "data_type": row.config_name, "dims": [3]}]


@pytest.mark.parametrize("dtype", [bytes, object, str, np.bytes_, np.object_, np.str_, np.dtype("S5")])
def test_strings(dtype: Any) -> None:
    assert config_of(inputs=[TensorSpec("x", (1,), dtype)])["input"][0]["data_type"] == "TYPE_STRING"


def test_optional_inputs() -> None:
    inputs = [TensorSpec("x", (1,), np.int8, optional=True), TensorSpec("y", (1,), np.int8)]

    assert [item.get("optional") for item in config_of(inputs=inputs)["input"]] == [True, None]


def test_optional_outputs_are_refused() -> None:
    text = "Optional flag for outputs is not supported. Outputs marked as optional: OUTPUT_1."
    with pytest.raises(PyTritonBadParameterError, match=text):
        config_of(outputs=[TensorSpec("OUTPUT_1", (1000,), np.int32, optional=True)])


def test_scalars_are_one_element_to_clients_and_none_to_the_backend() -> None:
    spec = TensorSpec("x", (), np.float32)
    expected = {"name": "x", "data_type": "TYPE_FP32", "dims": [1], "reshape": {"shape": []}}
    config = config_of(inputs=[spec], outputs=[spec])

    assert config["input"] == [expected]
    assert config["output"] == [expected]


@pytest.mark.parametrize("tensors", [None, [], ()])
def test_no_tensors_leave_no_key(tensors: Any) -> None:
    config = config_of(inputs=tensors, outputs=tensors)

    assert not {"input", "output"} & set(config)


def test_instance_groups() -> None:
    config = config_of(instance_group={DeviceKind.KIND_GPU: None, DeviceKind.KIND_CPU: 10})

    assert config["instance_group"] == [
        {"kind": "KIND_GPU", "count": None},
        {"kind": "KIND_CPU", "count": 10},
    ]


def test_decoupled() -> None:
    assert config_of(decoupled=True)["model_transaction_policy"] == {"decoupled": True}


def test_backend_parameters_are_strings() -> None:
    config = config_of(backend_parameters={"a": "b", "n": 1})

    assert config["parameters"] == {"a": {"string_value": "b"}, "n": {"string_value": "1"}}


@pytest.mark.parametrize("enable", [True, False])
def test_response_cache(enable: bool) -> None:
    assert config_of(response_cache=ResponseCache(enable=enable))["response_cache"] == {"enable": enable}


def test_versions_are_named_when_asked() -> None:
    model = TritonModelConfig("simple")

    assert ModelConfigGenerator(model, versions=[1, 3]).get_config()["version_policy"] == {
        "specific": {"versions": [1, 3]}
    }
    assert "version_policy" not in ModelConfigGenerator(model, versions=[]).get_config()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (WarmupInput(np.float32, (3,), zero_data=True), {"data_type": "TYPE_FP32", "zero_data": True}),
        (WarmupInput(bytes, (3,), random_data=True), {"data_type": "TYPE_STRING", "random_data": True}),
        (
            WarmupInput(np.int8, [3], input_data_file="f"),
            {"data_type": "TYPE_INT8", "input_data_file": "f"},
        ),
    ],
)
def test_warmup(item: WarmupInput, expected: dict[str, Any]) -> None:
    config = config_of(model_warmup=[ModelWarmup("w", 2, {"x": item}, 5)])

    assert config["model_warmup"] == [
        {"name": "w", "batch_size": 2, "inputs": {"x": {"dims": [3], **expected}}, "count": 5}
    ]


@pytest.mark.parametrize(
    ("item", "match"),
    [
        (WarmupInput(np.float32, (3,)), "must be provided for warmup input `x`"),
        (WarmupInput(np.float32, (), zero_data=True), "Dimension for x not defined"),
    ],
)
def test_warmup_needs_data_and_shape(item: WarmupInput, match: str) -> None:
    with pytest.raises(PyTritonBadParameterError, match=match):
        config_of(model_warmup=[ModelWarmup("w", 2, {"x": item}, 5)])


def test_to_file_creates_the_directories_and_returns_the_text(tmp_path: Path) -> None:
    path = tmp_path / "store" / "simple" / "config.pbtxt"
    text = ModelConfigGenerator(TritonModelConfig("simple", batching=False)).to_file(path)

    assert path.read_text() == text
    assert text == 'name: "simple"\nbackend: "pytriton"\nmax_batch_size: 0\n'


def test_to_file_takes_a_string_and_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text("x" * 1000)
    text = ModelConfigGenerator(TritonModelConfig("simple")).to_file(str(path))

    assert path.read_text() == text


def test_protobuf_reads_what_a_bound_model_becomes(tmp_path: Path) -> None:
    model_config_pb2 = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import json_format, text_format

    model = TritonModelConfig.create(
        "bound",
        [Tensor((-1,), np.float32), Tensor((), bytes, 'odd "name" ☃', optional=True)],
        [Tensor((2, 2), "bool")],
        ModelConfig(
            max_batch_size=32,
            batcher=DynamicBatcher(
                max_queue_delay_microseconds=5,
                preferred_batch_size=[8],
                priority_levels=2,
                default_priority_level=2,
                default_queue_policy=POLICY,
                priority_queue_policy={1: QueuePolicy()},
            ),
            response_cache=True,
        ),
        instances=3,
    )
    generator = ModelConfigGenerator(model, versions=[1])
    parsed = text_format.Parse(generator.to_file(tmp_path / "c"), model_config_pb2.ModelConfig())

    # The JSON form and the file say the same, and both are in the server's schema.
    assert parsed == json_format.ParseDict(generator.get_config(), model_config_pb2.ModelConfig())
    assert parsed.input[1].name == 'odd "name" ☃'
    assert parsed.input[1].HasField("reshape")
    assert parsed.dynamic_batching.priority_queue_policy[1].max_queue_size == 0
    assert [(group.kind, group.count) for group in parsed.instance_group] == [(2, 3)]
