# SPDX-License-Identifier: Apache-2.0
"""The folders of native/src include one another in one direction only, as CONTRIBUTING.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "native/src"
# What is in native/include is included as "pytriton/…".
INCLUDED = {
    "core": ("core/", "pytriton/shm_layout.h"),
    "backend": ("backend/", "core/", "pytriton/"),
    "preload": ("preload/",),
}


def test_every_source_is_in_a_folder() -> None:
    assert {path.name for path in SOURCES.iterdir()} == set(INCLUDED)


@pytest.mark.parametrize("folder", INCLUDED)
def test_includes_only_its_own_and_what_is_below(folder: str) -> None:
    included = {
        (path.name, name)
        for path in (SOURCES / folder).iterdir()
        for name in re.findall(r'^#include "(.*)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert included
    assert not {(file, name) for file, name in included if not name.startswith(INCLUDED[folder])}
