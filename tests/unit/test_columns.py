# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from rich.text import Text

from pytriton.cli.columns import Column, print_table
from pytriton.cli.output import console

NAME = "a_model_with_a_long_name_of_its_own"
COLUMNS = (
    Column("model", is_number=False, min_width=24),
    Column("inputs", is_number=False),
    Column("requests"),
    Column("queue ms"),
    Column("compute ms"),
    Column("errors"),
)
ROW: dict[str, Text | str] = {
    **{"model": NAME, "inputs": "image: FP32[3, 224, 224]\ntext: BYTES[1]"},
    **{"requests": "1,234,567", "queue ms": "0.123", "compute ms": "12.3", "errors": "0"},
}
SPARE = ("queue ms", "compute ms", "errors", "requests")


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_table(console(wide=True), COLUMNS, [ROW], SPARE)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_narrow_terminal_loses_columns_and_no_names(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = shown(capsys)
    assert max(map(len, lines)) <= width
    assert NAME[:24] in "".join(lines)
    for title in lines[0].split():  # none is cut
        assert title in ["model", "inputs", "requests", "queue", "ms", "compute", "ms", "errors"]
    assert ("queue" in lines[0]) == (width == 100)
    assert ("requests" in lines[0]) == (width > 40)


def test_what_is_no_terminal_has_no_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = shown(capsys)
    assert lines[2].split() == [
        *f"{NAME} image: FP32[3, 224, 224]".split(),
        "1,234,567",
        "0.123",
        "12.3",
        "0",
    ]
