# SPDX-License-Identifier: Apache-2.0
"""Every feature and every defect of 0.7 has its tests: feature_rows.txt says which."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
GUIDE: Final = TESTS.parent / "docs" / "migrating-from-pytriton.md"
TABLE: Final = Path(__file__).with_name("feature_rows.txt")


@dataclass
class Row:
    """A feature or a defect, and what shows how it is with us."""

    kind: str
    name: str
    tests: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def read_rows() -> Iterator[Row]:
    row: Row | None = None
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith(" "):
            if row is not None:
                yield row
            kind, _, name = line.partition(" ")
            row = Row(kind, name)
            continue
        assert row is not None
        head, _, rest = line.strip().partition(": ")
        if head == "guide":
            row.words.append(rest)
        else:
            row.tests += [f"{head}::{name}" for name in rest.split()]
    assert row is not None
    yield row


ROWS: Final = list(read_rows())


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind} {row.name}")
def test_row_has_its_tests(row: Row) -> None:
    assert row.kind in ("M", "N", "D")
    assert row.tests or row.words
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in functions_of(TESTS / path), test
    for words in row.words:
        assert words in " ".join(GUIDE.read_text(encoding="utf-8").split())


def test_every_row_is_there_once() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
    kinds = [row.kind for row in ROWS]
    assert kinds.count("M") >= 48
    assert kinds.count("N") >= 17
    assert kinds.count("D") == 21
