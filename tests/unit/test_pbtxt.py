# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from pytriton.model_config import DeviceKind, pbtxt


def parse(text: str) -> Any:
    """Parse as the server does: with protobuf and the schema of its model configuration."""
    model_config_pb2 = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    return text_format.Parse(text, model_config_pb2.ModelConfig())


def as_dict(text: str) -> dict[str, Any]:
    parsed = parse(text)
    from google.protobuf import json_format

    result: dict[str, Any] = json_format.MessageToDict(parsed, preserving_proto_field_name=True)
    return result


def test_scalars() -> None:
    config = {"name": "m", "max_batch_size": 0, "response_cache": {"enable": True}}

    assert pbtxt.dumps(config) == 'name: "m"\nmax_batch_size: 0\nresponse_cache {\n  enable: true\n}\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (-1, "-1"),
        (2**64 - 1, "18446744073709551615"),
        (0.25, "0.25"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
        ("", '""'),
        ("a'b", '"a\'b"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("a\n\r\tb", r'"a\n\r\tb"'),
        ("\x00\x1f\x7f", r'"\000\037\177"'),
        ("é", r'"\303\251"'),
        ("\x011", r'"\0011"'),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert pbtxt.dumps({"field": value}) == f"field: {text}\n"


def test_nothing_is_written_for_none_and_empty_lists() -> None:
    assert pbtxt.dumps({"a": None, "b": [], "parameters": {}}) == ""


def test_an_empty_message_is_written() -> None:
    assert pbtxt.dumps({"dynamic_batching": {}}) == "dynamic_batching {\n}\n"


def test_lists_repeat_the_field() -> None:
    assert pbtxt.dumps({"dims": [1, -1]}) == "dims: 1\ndims: -1\n"
    assert pbtxt.dumps({"input": ({"name": "a"}, {})}) == 'input {\n  name: "a"\n}\ninput {\n}\n'


def test_camel_case_becomes_snake_case() -> None:
    config = {"dynamic_batching": {"maxQueueDelayMicroseconds": 1}}

    assert pbtxt.dumps(config) == "dynamic_batching {\n  max_queue_delay_microseconds: 1\n}\n"


@pytest.mark.parametrize("name", ["data_type", "kind", "format", "timeout_action", "timeoutAction"])
def test_enums_are_bare_words(name: str) -> None:
    assert pbtxt.dumps({name: "KIND_CPU"}).endswith(": KIND_CPU\n")
    assert pbtxt.dumps({name: DeviceKind.KIND_CPU}).endswith(": KIND_CPU\n")


@pytest.mark.parametrize("value", ["", "A B", 'X" evil: 1', "A\n", 1])
def test_an_enum_is_one_word(value: Any) -> None:
    with pytest.raises(ValueError, match="expected the name of an enum value"):
        pbtxt.dumps({"kind": value})


def test_maps_are_entries_of_key_and_value() -> None:
    assert pbtxt.dumps({"priority_queue_policy": {1: {"max_queue_size": 2}}}) == (
        "priority_queue_policy {\n  key: 1\n  value {\n    max_queue_size: 2\n  }\n}\n"
    )
    assert pbtxt.dumps({"parameters": {"camelKey": {"string_value": "v"}}}) == (
        'parameters {\n  key: "camelKey"\n  value {\n    string_value: "v"\n  }\n}\n'
    )
    assert pbtxt.dumps({"metric_tags": {"a": "b"}}) == 'metric_tags {\n  key: "a"\n  value: "b"\n}\n'


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}], ids=["bytes", "object", "set"])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="field: a value of type"):
        pbtxt.dumps({"field": value})


@pytest.mark.parametrize(
    "text",
    [
        "".join(map(chr, range(128))),
        "".join(map(chr, range(128, 0x180))),
        "☃ 𝄞 \u2028 \ufeff",
        "\\n \\001 \\x41 \\u2603",
        "# not a comment",
        '" } name: "other',
        "1" * 10_000,
        "\x00" + "7" * 3,
    ],
    ids=range(8),
)
def test_protobuf_reads_back_every_string(text: str) -> None:
    config = {"name": text, "parameters": {text: {"string_value": text}}, "input": [{"name": text}]}
    parsed = parse(pbtxt.dumps(config))

    assert parsed.name == text
    assert parsed.parameters[text].string_value == text
    assert parsed.input[0].name == text


def test_protobuf_reads_back_a_whole_configuration() -> None:
    policy = {"timeout_action": "DELAY", "default_timeout_microseconds": 2**63, "max_queue_size": 2**32 - 1}
    config: dict[str, Any] = {
        "name": "m",
        "backend": "pytriton",
        "version_policy": {"specific": {"versions": [1, 3]}},
        "max_batch_size": 4,
        "input": [{"name": "x", "data_type": "TYPE_STRING", "dims": [1], "reshape": {}, "optional": True}],
        "output": [{"name": "y", "data_type": "TYPE_BF16", "dims": [-1, 2**40]}],
        "dynamic_batching": {
            "preferred_batch_size": [2, 4],
            "preserve_ordering": True,
            "default_queue_policy": policy,
            "priority_queue_policy": {1: policy, 2**64 - 1: {}},
        },
        "instance_group": [{"kind": "KIND_CPU", "count": 2}, {"kind": "KIND_GPU", "count": None}],
        "model_transaction_policy": {"decoupled": True},
        "response_cache": {"enable": True},
        "model_warmup": [
            {
                "name": "w",
                "batch_size": 1,
                "count": 2,
                "inputs": {"x": {"data_type": "TYPE_FP32", "dims": [2], "zero_data": True}},
            }
        ],
    }
    result = as_dict(pbtxt.dumps(config))

    # JSON has 64-bit numbers as strings.
    policy["default_timeout_microseconds"] = str(2**63)
    config["version_policy"]["specific"]["versions"] = ["1", "3"]
    config["input"][0]["dims"] = ["1"]
    config["output"][0]["dims"] = ["-1", str(2**40)]
    config["dynamic_batching"]["priority_queue_policy"] = {"1": policy, str(2**64 - 1): {}}
    config["instance_group"][1] = {"kind": "KIND_GPU"}
    config["model_warmup"][0]["inputs"]["x"]["dims"] = ["2"]
    assert result == config
