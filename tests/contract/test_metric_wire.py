# SPDX-License-Identifier: Apache-2.0
"""pytriton/metrics/wire.py against the C++ header that it mirrors."""

from __future__ import annotations

import re
from pathlib import Path

from pytriton.metrics import wire

HEADER = Path(__file__).parents[2] / "native/include/pytriton/metric_layout.h"
ABI = HEADER.with_name("triton_abi.h")


def text_of(path: Path) -> str:
    return re.sub(r"//.*", "", path.read_text(encoding="utf-8"))


def numbers_of(enumeration: str) -> dict[str, int]:
    """Names and values of an enum class."""
    body = re.search(rf"enum class {enumeration} : uint8_t \{{(.*?)\}}", text_of(HEADER), re.DOTALL)
    assert body is not None
    return {name: int(value) for name, value in re.findall(r"k(\w+) = (\d+)", body[1])}


def test_constants() -> None:
    values = re.findall(r"inline constexpr \w+ k(\w+) = ([^;]+);", text_of(HEADER))
    assert len(values) == 7
    for name, value in values:
        python_name = "_".join(re.findall(r"[A-Z][a-z]*", name)).upper()
        assert getattr(wire, python_name) == eval(value), name


def test_records() -> None:
    first_bytes = {
        "Family": wire.family(wire.COUNTER, "sum", "a", "", (), ()),
        "Series": wire.series(0, ()),
        "Add": wire.add(0, 1),
        "Set": wire.set_to(0, 1),
        "Observe": wire.observe(0, 1, 1),
    }
    assert {name: record[0] for name, record in first_bytes.items()} == numbers_of("MetricRecord")


def test_aggregations() -> None:
    assert {name.capitalize(): number for name, number in wire.ACROSS.items()} == numbers_of("Across")


def test_kinds() -> None:
    names = re.findall(r"TRITONSERVER_METRIC_KIND_(\w+)", text_of(ABI))
    assert [getattr(wire, name) for name in names] == [0, 1, 2]
