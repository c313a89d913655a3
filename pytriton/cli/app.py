# SPDX-License-Identifier: Apache-2.0
"""The commands put together."""

from __future__ import annotations

from typing import Annotated

import typer

import pytriton
from pytriton.cli import bench, check, config, infer, init, models, serve, top
from pytriton.cli.exits import Commands

__all__ = ["app"]

app = typer.Typer(
    name="pytriton",
    cls=Commands,
    help="Serve Python functions with NVIDIA Triton Inference Server.",
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Serve Python functions with NVIDIA Triton Inference Server; without a command: check."""
    if version:
        typer.echo(f"pytriton {pytriton.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        check.check()


init.add_to(app)
serve.add_to(app)
models.add_to(app)
infer.add_to(app)
bench.add_to(app)
top.add_to(app)
config.add_to(app)
check.add_to(app)
