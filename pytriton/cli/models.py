# SPDX-License-Identifier: Apache-2.0
"""`pytriton models`: what a server has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from pytriton.cli.columns import Column, print_table
from pytriton.cli.details import STATES, print_details
from pytriton.cli.output import console, note, print_json
from pytriton.cli.remote import HeaderOption, TimeoutOption, TokenOption, UrlOption, remote
from pytriton.monitor.models import ModelInfo, list_models
from pytriton.monitor.number import number
from pytriton.monitor.server import Server

__all__ = ["add_to", "models"]

_NAME: Final = 24
_SPARE: Final = (
    *("backend", "batch", "queue ms", "max batch", "compute ms"),
    *("ver", "errors", "requests", "outputs", "inputs"),
)


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show this model in detail.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    header: HeaderOption = None,
    timeout: TimeoutOption = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the models as JSON.")] = False,
) -> None:
    """List the models of a server, or show one in detail: state, tensors, statistics."""
    where = remote(url, token, header)
    with Server(where.url, token=where.token, headers=where.headers, timeout_s=timeout) as server:
        found, notes = list_models(server, name)
    if as_json:
        print_json({"url": where.url, "models": [_as_dict(model) for model in found], "notes": notes})
        return
    if name is not None:
        print_details(console(wide=True), found)
    elif found:
        _print(console(wide=True), found)
    else:
        console().print(Text(f"{where.url} has no models.", "yellow"), soft_wrap=True)
    for text in notes:
        note(text)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models")(models)


def _print(out: Console, found: Sequence[ModelInfo]) -> None:
    longest = max(len(model.name) for model in found)
    columns = [Column("model", is_number=False, min_width=min(longest, _NAME))]
    columns += [Column(title, is_number=False) for title in ("ver", "state", "backend", "inputs", "outputs")]
    columns.append(Column("max batch"))
    if any(model.totals is not None for model in found):
        columns += map(Column, ("requests", "errors", "batch", "queue ms", "compute ms"))
    print_table(out, columns, [_row(model) for model in found], _SPARE)


def _row(model: ModelInfo) -> dict[str, Text | str]:
    state = Text(model.state.lower(), STATES.get(model.state, ""))
    row: dict[str, Text | str] = {
        "model": Text(model.name, "bold"),
        "ver": model.version,
        "state": Text.assemble(state, f" {model.reason}" if model.reason else ""),
        "backend": model.platform,
        "inputs": "\n".join(map(str, model.inputs)),
        "outputs": "\n".join(map(str, model.outputs)),
        "max batch": "" if model.max_batch_size is None else str(model.max_batch_size or "none"),
    }
    totals = model.totals
    if totals is None:
        return row
    return {
        **row,
        "requests": f"{totals.requests:,}",
        "errors": Text(f"{totals.failures:,}", "red" if totals.failures else ""),
        "batch": number(totals.mean_batch),
        "queue ms": number(totals.queue_ms),
        "compute ms": number(totals.compute_ms),
    }


def _as_dict(model: ModelInfo) -> dict[str, Any]:
    document = dataclasses.asdict(model)
    totals = document.pop("totals")
    if totals is not None and model.totals is not None:
        document["statistics"] = {
            **totals,
            "mean_batch": model.totals.mean_batch,
            "queue_ms": model.totals.queue_ms,
            "compute_ms": model.totals.compute_ms,
        }
    return document
