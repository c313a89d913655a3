# SPDX-License-Identifier: Apache-2.0
"""Dataclasses whose fields are given by name only."""

from __future__ import annotations

import functools
from typing import Any, TypeVar

__all__ = ["kwonly_dataclass"]

_Class = TypeVar("_Class", bound=type)


def kwonly_dataclass(wrapped: _Class, /) -> _Class:
    """Refuse positional arguments to a dataclass; new code says `@dataclass(kw_only=True)`."""
    initialize = wrapped.__init__  # type: ignore[misc]

    @functools.wraps(initialize)
    def by_name(self: Any, *args: Any, **fields: Any) -> None:
        if args:
            raise TypeError(f"{wrapped.__name__} initialization can't be used with positional arguments")
        initialize(self, **fields)

    wrapped.__init__ = by_name  # type: ignore[misc]
    return wrapped
