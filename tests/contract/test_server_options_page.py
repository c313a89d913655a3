# SPDX-License-Identifier: Apache-2.0
"""The reference of TritonConfig says what its fields say."""

from __future__ import annotations

import server_options
from pytriton.server.config import options


def test_page_is_current() -> None:
    page = server_options.PAGE.read_text(encoding="utf-8")
    assert page == server_options.reference(), "run `python scripts/server_options.py`"


def test_page_has_every_field() -> None:
    rows = [line for line in server_options.reference().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [option.name for option in options()]
    assert [row.split("`")[3] for row in rows] == [option.flag for option in options()]
