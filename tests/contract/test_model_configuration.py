# SPDX-License-Identifier: Apache-2.0
"""Our reading and writing of config.pbtxt is that of protobuf with the schema of Triton's clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.parser import ModelConfigParser
from pytriton.model_config.pbtxt import MAPS
from pytriton.model_config.pbtxt_reader import LISTS, loads
from tests.helpers.full_model import FULL_MODEL


@pytest.fixture
def message(tmp_path: Path) -> Any:
    text = ModelConfigGenerator(FULL_MODEL).to_file(tmp_path / "config.pbtxt")
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def test_protobuf_reads_what_is_written(message: Any) -> None:
    config = json_format.MessageToDict(message, preserving_proto_field_name=True)
    assert ModelConfigParser.from_dict(config) == FULL_MODEL
    always = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert ModelConfigParser.from_dict(always) == FULL_MODEL


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"as_one_line": True},
        {"use_short_repeated_primitives": True},
        {"pointy_brackets": True},
        {"as_utf8": True},
        {"use_index_order": True},
    ],
)
def test_what_protobuf_writes_is_read(message: Any, form: dict[str, bool], tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(text_format.MessageToString(message, **form), encoding="utf-8")
    assert ModelConfigParser.from_file(config_path=path) == FULL_MODEL


def test_every_list_and_map_of_the_schema_is_known() -> None:
    """A list of one looks like a single value in text format; a map looks like a list of messages."""
    lists: set[str] = set()
    maps: set[str] = set()
    single: set[str] = set()
    seen: set[str] = set()
    messages = [model_config_pb2.ModelConfig.DESCRIPTOR]
    while messages:
        descriptor = messages.pop()
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            inner = field.message_type
            if inner is not None:
                messages.append(inner)
            if inner is not None and inner.GetOptions().map_entry:
                maps.add(field.name)
            else:
                repeated = (
                    field.is_repeated
                    if hasattr(field, "is_repeated")
                    else field.label == field.LABEL_REPEATED
                )
                (lists if repeated else single).add(field.name)
    # Recognised by its keys, as other messages have none of that name.
    assert maps - {"input"} == MAPS
    assert lists == LISTS
    assert single & (lists | maps | {"key"}) == {"key"}


def test_a_whole_file_of_somebody_else() -> None:
    text = """
    # of an ensemble
    name: "e"  platform: 'ensemble'
    max_batch_size: 8
    input [ { name: "RAW" data_type: TYPE_UINT8 dims: [ -1 ] allow_ragged_batch: true } ]
    output [ { name: "PROBABILITIES", data_type: TYPE_FP32, dims: [ 1000 ], label_filename: "l.txt" } ]
    ensemble_scheduling {
      step [ { model_name: "a" model_version: -1 input_map { key: "X" value: "RAW" } } ]
    }
    version_policy: { specific { versions: [1, 2] } }
    """
    parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
    ours = loads(text)
    back = json_format.ParseDict(ours, model_config_pb2.ModelConfig())
    assert back == parsed
