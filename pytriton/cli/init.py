# SPDX-License-Identifier: Apache-2.0
"""`pytriton init`: a small project to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pytriton.cli.output import console, print_json
from pytriton.project.create import create_project

__all__ = ["add_to", "init"]


def init(
    directory: Annotated[
        Path,
        typer.Argument(metavar="[DIRECTORY]", help="Directory of the project; created if missing."),
    ] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the project; by default, that of the directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the files as JSON.")] = False,
) -> None:
    """Create a small project: an application, a client, tests and configuration."""
    files = create_project(directory, name)
    if as_json:
        print_json({"directory": str(directory.absolute()), "files": [file.name for file in files]})
        return
    out = console()
    out.print(Text.assemble("Written: ", (", ".join(file.name for file in files), "bold")))
    move = "" if directory.absolute() == Path.cwd() else f"cd {directory} && "
    out.print(Text.assemble("Now: ", (f"{move}pytriton serve --reload", "cyan")))


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)
