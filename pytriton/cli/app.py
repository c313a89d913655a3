# SPDX-License-Identifier: Apache-2.0
"""The commands put together."""

from __future__ import annotations

from typing import Annotated

import typer

import pytriton
from pytriton.cli import check

__all__ = ["app"]

app = typer.Typer(
    name="pytriton",
    help="Serve Python functions with NVIDIA Triton Inference Server.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version and exit.")] = False,
) -> None:
    """Serve Python functions with NVIDIA Triton Inference Server; without a command: check."""
    if version:
        typer.echo(f"pytriton {pytriton.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        check.check()


check.add_to(app)
