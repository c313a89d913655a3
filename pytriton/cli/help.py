# SPDX-License-Identifier: Apache-2.0
"""Help of commands with very many options: lists of them under headings, every name in full."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperCommand

__all__ = ["ListedOptions"]

_OWN: Final = "Options"


class ListedOptions(TyperCommand):
    """A command whose options are listed as text; tables cut off long names where the terminal is narrow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "rich_markup_mode": None})

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write each panel's options under its name."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            is_argument = parameter.param_type_name == "argument"
            panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or _OWN
            if (record := parameter.get_help_record(ctx)) is not None:
                panels.setdefault(panel, []).append(record)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)
