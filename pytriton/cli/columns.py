# SPDX-License-Identifier: Apache-2.0
"""Tables that a narrow terminal shows too: with fewer columns, never with empty ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Column", "print_table"]

_BETWEEN: Final = 3
_LEAST: Final = 12


class Column(NamedTuple):
    """A column of a table."""

    title: str
    is_number: bool = True
    min_width: int = 0
    """What it never gets narrower than, however little room there is."""


def print_table(
    out: Console,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Text | str]],
    spare: Sequence[str],
) -> None:
    """Print a table.

    Args:
        out: Where it goes.
        columns: Its columns.
        rows: Cells by the titles of their columns.
        spare: Titles of the columns that are left out if there is no room, the first one first.
    """
    remaining = list(columns)
    for title in ("", *spare):
        remaining = [column for column in remaining if column.title != title]
        least = [_least(column, rows) for column in remaining]
        room = out.width + 1 - sum(width + _BETWEEN for width in least)
        if room >= 0:
            break
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    for column, width in zip(remaining, least, strict=True):
        more = min(max(room, 0), _longest(column, rows) - width)
        room -= more
        table.add_column(
            column.title,
            header_style="dim",
            justify="right" if column.is_number else "left",
            overflow="fold",
            min_width=width + more,
            max_width=width + more,
        )
    for row in rows:
        table.add_row(*(row.get(column.title, "") for column in remaining))
    out.print(table)


def _least(column: Column, rows: Sequence[Mapping[str, Text | str]]) -> int:
    longest = _longest(column, rows)
    if column.is_number:
        return longest
    return min(longest, max(column.min_width, *map(cell_len, column.title.split()), _LEAST))


def _longest(column: Column, rows: Sequence[Mapping[str, Text | str]]) -> int:
    cells = (str(row.get(column.title, "")) for row in rows)
    return max(cell_len(line) for cell in (column.title, *cells) for line in cell.split("\n"))
