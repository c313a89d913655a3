# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pytriton.worker import layout

SIZES = {
    "Hello": 32,
    "Message": 48,
    "BlockHeader": 64,
    "RequestRecord": 64,
    "TensorRecord": 160,
    "ResultHeader": 16,
    "ErrorRecord": 24,
    "ResponseRecord": 24,
}


def test_sizes() -> None:
    assert {structure.name: structure.size for structure in layout.STRUCTURES} == SIZES


@pytest.mark.parametrize("structure", layout.STRUCTURES, ids=lambda structure: structure.name)
def test_fields_are_aligned_and_leave_no_gaps(structure: layout.Structure) -> None:
    end = 0
    for (name, offset, size), field in zip(structure.places(), structure.fields, strict=True):
        assert name == field.name
        assert offset == end == structure.offset(name)
        assert offset % (size // field.repeat) == 0
        end = offset + size
    assert end == structure.size


def test_hash_is_the_one_of_the_documented_algorithm() -> None:
    value = 0xCBF29CE484222325
    for structure in layout.STRUCTURES:
        for _, offset, size in structure.places():
            for number in (offset, size):
                for shift in (0, 8, 16, 24):
                    value = (value ^ (number >> shift & 0xFF)) * 0x100000001B3 % 2**64
    assert layout.layout_hash() == value


def test_short_tensor_records_are_prefixes() -> None:
    full = layout.TENSOR_RECORD.pack(1, 2, 3, 2, 4, 5, 6, 7, *[0] * 14)
    assert full.startswith(layout.TENSOR_RECORD_OF_RANK[2].pack(1, 2, 3, 2, 4, 5, 6, 7))
    assert layout.TENSOR_RECORD_OF_RANK[layout.MAX_RANK].size == layout.TENSOR_RECORD.size
