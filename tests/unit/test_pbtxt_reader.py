# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from typing import Any

import pytest

from pytriton.exceptions import PyTritonModelConfigError
from pytriton.model_config import pbtxt
from pytriton.model_config.pbtxt_reader import loads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"text"', "text"),
        ("'te\"xt'", 'te"xt'),
        ('"one" \'two\'\n  "three"', "onetwothree"),
        (r'"a\"\\\n\t\x41\101\'"', "a\"\\\n\tAA'"),
        (r'"\303\251\u"', "éu"),
        ("KIND_CPU", "KIND_CPU"),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-1", -1),
        ("0x1F", 31),
        ("1.5", 1.5),
        (".5e1f", 5.0),
        ("-inf", -math.inf),
        ("{}", {}),
        ("< a: 1 >", {"a": 1}),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert loads(f"field: {text}") == {"field": value}
    assert loads(f" # comment\nfield :{text};\nother: 1,") == {"field": value, "other": 1}


def test_messages_need_no_colon() -> None:
    assert loads("a { b: 1 c { } } d < e: 2 >") == {"a": {"b": 1, "c": {}}, "d": {"e": 2}}


def test_lists_in_every_form() -> None:
    expected = {"input": [{"dims": [1, -1]}, {"dims": [3]}]}
    assert loads("input { dims: 1 dims: -1 } input { dims: 3 }") == expected
    assert loads("input [ { dims: [ 1, -1 ] }, { dims: [3] } ]") == expected
    assert loads("input: [ { dims: 1, dims: [-1] } ] input { dims: 3 }") == expected
    assert loads("dims: []") == {}


def test_maps() -> None:
    text = 'parameters { key: "a" value { string_value: "b" } } parameters [ { key: "c" }, { value: {} } ]'
    assert loads(text) == {"parameters": {"a": {"string_value": "b"}, "c": {}, "": {}}}
    assert loads("priority_queue_policy { key: 2 value: { max_queue_size: 1 } }") == {
        "priority_queue_policy": {2: {"max_queue_size": 1}}
    }


def test_what_is_written_is_read_back() -> None:
    config = {
        "name": "".join(map(chr, range(0x180))),
        "max_batch_size": 0,
        "input": [{"name": "x", "dims": [1], "reshape": {}, "data_type": "TYPE_FP32"}],
        "model_warmup": [{"inputs": {"x": {"dims": [2], "zero_data": True}}}],
        "parameters": {"k": {"string_value": ""}},
        "dynamic_batching": {},
    }
    assert loads(pbtxt.dumps(config)) == config
    assert loads("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", 'line 1: expected ":" or "{", got the end of the file'),
        ("a: 1\n\nb 2", 'line 3: expected ":" or "{", got "2"'),
        ("a:", "line 1: expected a value, got the end of the file"),
        ("a: }", 'expected a value, got "}"'),
        ("a {\n b: 1\n", "line 3: expected the name of a field, got the end of the file"),
        ("a { b: 1 >", 'expected the name of a field, got ">"'),
        ("a: [1 2]", 'expected "," or "]", got "2"'),
        ('a: "open\n', 'line 1: expected a name or a value, got """'),
        ("a: 1\n? ", 'line 2: expected a name or a value, got "?"'),
        ("}", 'expected the name of a field, got "}"'),
        ("name: 1\nname: 2", 'line 2: a second value for "name"'),
    ],
)
def test_mistakes_are_located(text: str, message: str) -> None:
    with pytest.raises(PyTritonModelConfigError) as caught:
        loads(text)
    assert message in caught.value.message
