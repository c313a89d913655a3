# SPDX-License-Identifier: Apache-2.0
"""Every public name of 0.7.0 is there, and takes every call that it took: surface.txt says which."""

from __future__ import annotations

import pytest

from tests.contract.surface import Entry, read_table

ENTRIES = list(read_table())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.path)
def test_is_there_with_the_signature_of_0_7(entry: Entry) -> None:
    assert entry.problem() is None
