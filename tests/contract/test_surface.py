# SPDX-License-Identifier: Apache-2.0
"""Every public name of 0.7.0 is there, and takes every call that it took: surface.txt says which."""

from __future__ import annotations

import pytest

from tests.contract.surface import Entry, read_table

ENTRIES = list(read_table())

PENDING: frozenset[str] = frozenset()
"""Paths of the table that are still to come; whoever brings one strikes it out."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.path)
def test_is_there_with_the_signature_of_0_7(entry: Entry) -> None:
    problem = entry.problem()
    if any(entry.path == path or entry.path.startswith(f"{path}.") for path in PENDING):
        if problem is None:
            pytest.fail(f"{entry.path} is there: strike it out in PENDING")
        pytest.skip(f"to come: {problem}")
    assert problem is None


def test_pending_names_are_of_the_table() -> None:
    paths = [f"{entry.path}." for entry in ENTRIES]
    assert not [name for name in PENDING if not any(path.startswith(f"{name}.") for path in paths)]
