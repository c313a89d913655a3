# SPDX-License-Identifier: Apache-2.0
"""What commands print: tables and panels for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

import numpy as np
from rich.console import Console

__all__ = ["UNLIMITED", "console", "errors", "note", "print_json", "to_json"]

UNLIMITED: Final = 10_000


def console(*, wide: bool = False) -> Console:
    """Where results go.

    Args:
        wide: Let lines have any length where neither a terminal nor COLUMNS limits it.
    """
    out = Console(highlight=False, emoji=False, markup=False)
    if wide and not out.is_terminal and not os.environ.get("COLUMNS"):
        out.width = UNLIMITED
    return out


def errors() -> Console:
    """Where progress and notes go, so that they are in no pipe."""
    return Console(stderr=True, highlight=False, emoji=False, markup=False)


def note(text: str) -> None:
    """Tell something in passing."""
    errors().print(text, soft_wrap=True)


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Print a document as JSON, at once."""
    sys.stdout.write(to_json(document, indent=indent) + "\n")
    sys.stdout.flush()


def to_json(document: Any, *, indent: int | None = None) -> str:
    """A document as JSON; arrays become lists, bytes text."""
    return json.dumps(document, indent=indent, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
