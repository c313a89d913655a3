# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton import dtypes
from pytriton.exceptions import PyTritonModelConfigError
from pytriton.model_config import DeviceKind, DynamicBatcher
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.parser import ModelConfigParser
from pytriton.model_config.triton_model_config import ResponseCache, TensorSpec, TritonModelConfig
from tests.helpers.full_model import FULL_MODEL

INPUT = {"name": "x", "data_type": "TYPE_FP32", "dims": ["-1", 3]}


def parse(**fields: Any) -> TritonModelConfig:
    return ModelConfigParser.from_dict({"name": "m", **fields})


def test_what_is_generated_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.pbtxt"
    text = ModelConfigGenerator(FULL_MODEL).to_file(path)
    assert text == path.read_text()
    assert ModelConfigParser.from_file(config_path=path) == FULL_MODEL
    assert ModelConfigParser.from_file(config_path=str(path)) == FULL_MODEL
    assert ModelConfigParser.from_dict(ModelConfigGenerator(FULL_MODEL).get_config()) == FULL_MODEL


@pytest.mark.parametrize("row", dtypes.DATATYPES)
def test_every_datatype(row: dtypes.DataType) -> None:
    spec = ModelConfigParser.rewrite_io_spec({**INPUT, "data_type": row.config_name}, "input", 0)
    assert spec.datatype is row
    assert ModelConfigParser.rewrite_io_spec(INPUT, "input", 0) == TensorSpec("x", (-1, 3), np.float32)


def test_strings_are_bytes() -> None:
    assert (
        ModelConfigParser.rewrite_io_spec({**INPUT, "data_type": "TYPE_STRING"}, "input", 0).dtype
        is np.bytes_
    )


def test_scalars_come_back_as_they_were_declared() -> None:
    model = TritonModelConfig("m", inputs=[TensorSpec("x", (), np.int8, optional=True)])
    assert ModelConfigParser.from_dict(ModelConfigGenerator(model).get_config()).inputs == model.inputs


def test_a_minimal_model() -> None:
    assert parse() == TritonModelConfig("m", batching=False, max_batch_size=0)
    assert parse(max_batch_size=2, dynamic_batching={}).batcher == DynamicBatcher()
    assert parse(max_batch_size=2).batcher is None
    assert parse(max_batch_size=2).batching


def test_what_a_server_says_of_a_model() -> None:
    """The form of its JSON: everything is there, and large numbers may be strings."""
    model = parse(
        platform="",
        backend="pytriton",
        version_policy={"latest": {"num_versions": 1}},
        max_batch_size=4,
        input=[{**INPUT, "format": "FORMAT_NONE", "is_shape_tensor": False, "optional": False}],
        output=[{**INPUT, "name": "y", "label_filename": ""}],
        dynamic_batching={
            "preferred_batch_size": [4],
            "max_queue_delay_microseconds": "100",
            "priority_levels": "2",
            "default_priority_level": 1,
            "default_queue_policy": {"timeout_action": "DELAY", "default_timeout_microseconds": "5"},
            "priority_queue_policy": {"1": {"max_queue_size": 3}},
        },
        instance_group=[{"name": "m_0", "kind": "KIND_CPU", "count": 2, "gpus": []}, {"count": 1}],
        response_cache={"enable": False},
        model_transaction_policy={"decoupled": False},
        parameters={"k": {"string_value": "v"}, "empty": {}},
    )
    assert model.batcher is not None
    assert model.batcher.max_queue_delay_microseconds == 100
    assert model.batcher.priority_queue_policy is not None
    assert model.batcher.priority_queue_policy[1].max_queue_size == 3
    assert model.instance_group == {DeviceKind.KIND_CPU: 2, DeviceKind.KIND_AUTO: 1}
    assert model.response_cache == ResponseCache(enable=False)
    assert model.backend_parameters == {"k": "v", "empty": ""}
    assert model.model_version == 1
    assert not model.decoupled


def test_parameters_are_a_dict_or_names() -> None:
    assert parse(parameters=["a", "b"]).backend_parameters == {"a": "", "b": ""}
    for given in ("text", 3):
        with pytest.raises(TypeError, match="dict of parameters or a list of names"):
            parse(parameters=given)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "Name for input at index 3 not provided"),
        ({"name": "x"}, "Data type for input with name `x` not defined"),
        ({**INPUT, "data_type": "FP32"}, "Invalid data type `FP32` for input with name `x`"),
        (
            {**INPUT, "data_type": "TYPE_FLOAT32"},
            "Unsupported data type `TYPE_FLOAT32` for input with name `x`",
        ),
        ({**INPUT, "dims": None}, "Dimension for input with name `x` not defined"),
        ({**INPUT, "dims": []}, "Dimension for input with name `x` not defined"),
        ({**INPUT, "dims": ["wide"]}, r"Dimension for input with name `x` .* \['wide'\]"),
    ],
)
def test_tensors_that_lack_something(item: Any, message: str) -> None:
    with pytest.raises(PyTritonModelConfigError, match=message):
        ModelConfigParser.rewrite_io_spec(item, "input", 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "no name"),
        ({"instance_group": [{"kind": "KIND_TPU"}]}, "Unknown kind of an instance group: 'KIND_TPU'"),
        (
            {"dynamic_batching": {"default_queue_policy": {"timeout_action": "DROP"}}},
            "timeout_action: 'DROP'",
        ),
        (
            {"model_warmup": [{"name": "w", "inputs": {"x": {"dims": [1]}}}]},
            "Data type for input `x` of warm-up `w` not defined",
        ),
    ],
)
def test_models_that_lack_something(fields: Any, message: str) -> None:
    with pytest.raises(PyTritonModelConfigError, match=message):
        parse(**fields)
