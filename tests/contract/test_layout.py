# SPDX-License-Identifier: Apache-2.0
"""pytriton/worker/layout.py, and the other numbers that Python mirrors, against the C++ headers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytriton.dtypes import DATATYPES
from pytriton.exceptions import ErrorCode
from pytriton.worker import layout

# Constants whose Python names are not the C++ ones without their "k".
RENAMED = {"kFlagFinal": "FINAL", "kFlagReleased": "RELEASED"}


def python_name(cpp_name: str, prefix: str = "") -> str:
    """The name of layout.py for a constant of the header: kProtocolVersion is PROTOCOL_VERSION."""
    words = re.findall(r"[A-Z][a-z0-9]*", cpp_name)
    return RENAMED.get(cpp_name, prefix + "_".join(words).upper())


def test_fields(native_facts: dict[str, Any]) -> None:
    mirrored = [
        [structure.name, name, offset, size]
        for structure in layout.STRUCTURES
        for name, offset, size in structure.places()
    ]
    assert mirrored == native_facts["fields"]


def test_sizes(native_facts: dict[str, Any]) -> None:
    assert {structure.name: structure.size for structure in layout.STRUCTURES} == native_facts["sizes"]


def test_hash(native_facts: dict[str, Any]) -> None:
    assert layout.layout_hash() == native_facts["layout_hash"]


@pytest.mark.parametrize(
    ("group", "prefix"), [("constants", ""), ("kinds", ""), ("parameter_types", "PARAMETER_")]
)
def test_constants(native_facts: dict[str, Any], group: str, prefix: str) -> None:
    numbers = {python_name(name, prefix): value for name, value in native_facts[group].items()}
    assert numbers == {name: getattr(layout, name) for name in numbers}


def test_every_constant_is_compared(native_facts: dict[str, Any]) -> None:
    compared = {
        python_name(name, prefix)
        for group, prefix in (("constants", ""), ("kinds", ""), ("parameter_types", "PARAMETER_"))
        for name in native_facts[group]
    }
    assert compared == {name for name in layout.__all__ if isinstance(getattr(layout, name), int)}


def test_parameter_header_is_three_numbers() -> None:
    assert layout.PARAMETER_HEADER.size == 12


@pytest.mark.parametrize("rank", range(layout.MAX_RANK + 1))
def test_record_of_a_rank_is_the_beginning_of_a_record(rank: int) -> None:
    record = layout.TENSOR_RECORD_OF_RANK[rank]
    dims = range(1, rank + 1)
    whole = layout.TENSOR_RECORD.pack(2, 3, 4, rank, 5, 6, *dims, *[0] * (layout.MAX_RANK - rank))
    assert record.pack(2, 3, 4, rank, 5, 6, *dims) == whole[: record.size]


def test_datatypes(native_facts: dict[str, Any]) -> None:
    mirrored = {f"TRITONSERVER_TYPE_{row.name}": row.number for row in DATATYPES}
    assert mirrored | {"TRITONSERVER_TYPE_INVALID": 0} == native_facts["data_types"]
    sizes = {f"TRITONSERVER_TYPE_{row.name}": row.byte_size for row in DATATYPES}
    assert sizes | {"TRITONSERVER_TYPE_INVALID": 0} == native_facts["element_sizes"]


def test_error_codes(native_facts: dict[str, Any]) -> None:
    assert {f"TRITONSERVER_ERROR_{code.name}": code.value for code in ErrorCode} == native_facts[
        "error_codes"
    ]
