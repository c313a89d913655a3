# SPDX-License-Identifier: Apache-2.0
"""Options of `pytriton serve` itself, in the form of the server's, and all of them together."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from pytriton.exceptions import PyTritonValidationError
from pytriton.server.config import Option, options

__all__ = ["SERVE_OPTIONS", "SERVE_PREFIX", "all_options", "default_text", "parsed"]

SERVE_PREFIX: Final = "PYTRITON_SERVE_"

SERVE_OPTIONS: Final = (
    Option("app", str, "What to serve: module:attribute or file.py:attribute.", "", SERVE_PREFIX),
    Option(
        "workers", int, "Processes that serve each model; threads of this one if not given.", "", SERVE_PREFIX
    ),
    Option("log_level", str, "debug, info, warning or error (warning).", "", SERVE_PREFIX),
)


def all_options() -> tuple[Option, ...]:
    """Every option that a file may set, that of `pytriton serve` first."""
    return (*SERVE_OPTIONS, *options())


def parsed(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values by option, converted to the options' types; what is no option is refused.

    Args:
        values: Values by name; dashes in names count as underscores.
        where: Where they come from, for messages.
    """
    known = {option.name: option for option in all_options()}
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = (
                f"; did you mean {close[0]}?"
                if close
                else ", see `pytriton config show` for those there are."
            )
            raise PyTritonValidationError(f"{where}: there is no option {key!r}{hint}")
        found[name] = known[name].parse(value, f"{where}: {key}")
    return found


def default_text(option: Option) -> str:
    """What the server takes where nothing is given, as its help says it; empty if that says nothing."""
    text = option.help.removesuffix(".")
    return text[text.rindex("(") + 1 : -1] if text.endswith(")") else ""
