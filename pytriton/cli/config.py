# SPDX-License-Identifier: Apache-2.0
"""`pytriton config`: what is configured, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from pytriton.cli.exits import Commands
from pytriton.cli.help import ListedOptions
from pytriton.cli.output import console, print_json
from pytriton.cli.table import CONFIG_VARIABLE, layers_of, with_server_options
from pytriton.configuration.layers import DEFAULT, Setting, in_force
from pytriton.configuration.options import default_text
from pytriton.launch.target import load_triton
from pytriton.triton import Triton

__all__ = ["add_to", "show"]

_STYLES: Final = {
    "argument": "bold green",
    "code": "magenta",
    "environment": "yellow",
    "file": "cyan",
    "command": "blue",
    DEFAULT: "dim",
}


def show(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:ATTRIBUTE]",
            help="Also show what the code of this App or Triton sets; the module is imported.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address of all endpoints.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar=CONFIG_VARIABLE,
            help="Configuration file (TOML or YAML) instead of pytriton.yaml or pyproject.toml.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that serve each model.", min=1)
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option("--log-level", help="Log level: debug, info, warning or error (warning)."),
    ] = None,
    only_given: Annotated[
        bool, typer.Option("--given", help="Show only options that have been set.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the options as JSON.")] = False,
    *,
    server_options: Mapping[str, Any],
) -> None:
    """Show every option, its value and where the value comes from. Takes the options of serve."""
    layers = layers_of(server_options, host, config, app=target, workers=workers, log_level=log_level)
    code = None
    if target is not None:
        with in_force(layers):
            triton = load_triton(target, Path.cwd())
        code = triton.given_config if isinstance(triton, Triton) else None
    layers.config(code)  # refuses what does not fit together
    settings = layers.settings(code)
    if only_given:
        settings = [setting for setting in settings if setting.source != DEFAULT]
    if as_json:
        print_json([_as_dict(setting) for setting in settings])
    else:
        console(wide=True).print(_table(settings))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer(
        cls=Commands, rich_markup_mode="rich", help="Show the configuration.", no_args_is_help=True
    )
    commands.command("show", cls=ListedOptions)(with_server_options(show))
    app.add_typer(commands, name="config")


def _table(settings: Sequence[Setting]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("option", "value", "from", "where"):
        table.add_column(column, header_style="dim", overflow="fold")
    for setting in settings:
        style = _STYLES[setting.source]
        table.add_row(
            Text(setting.option.name, "" if setting.source != DEFAULT else "dim"),
            Text(_value_text(setting), style),
            Text(setting.source, style),
            Text(_where_text(setting), "dim"),
        )
    return table


def _value_text(setting: Setting) -> str:
    if setting.value is None:
        return default_text(setting.option)
    if isinstance(setting.value, list):
        return "\n".join(setting.value)
    return str(setting.value).lower() if isinstance(setting.value, bool) else str(setting.value)


def _where_text(setting: Setting) -> str:
    here = f"{Path.cwd()}{os.sep}"
    return setting.where.removeprefix(here) if setting.source == "file" else setting.where


def _as_dict(setting: Setting) -> dict[str, Any]:
    return {
        "option": setting.option.name,
        "value": setting.value,
        "source": setting.source,
        "where": setting.where or None,
        "default": default_text(setting.option) or None,
        "variable": setting.option.variable,
    }
