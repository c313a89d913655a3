# SPDX-License-Identifier: Apache-2.0
"""`pytriton models`: what a server has."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from pytriton.cli.output import console, note, print_json
from pytriton.cli.remote import HeaderOption, TimeoutOption, TokenOption, UrlOption, remote
from pytriton.monitor.models import ModelInfo, list_models
from pytriton.monitor.number import number
from pytriton.monitor.server import Server

__all__ = ["add_to", "models"]

_STATES: Final = {"READY": "green", "UNAVAILABLE": "red", "LOADING": "yellow", "UNLOADING": "yellow"}


def models(
    name: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this one.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    header: HeaderOption = None,
    timeout: TimeoutOption = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the models of a server: state, tensors, statistics."""
    where = remote(url, token, header)
    with Server(where.url, token=where.token, headers=where.headers, timeout_s=timeout) as server:
        found, notes = list_models(server, name)
    if as_json:
        print_json({"url": where.url, "models": [_as_dict(model) for model in found], "notes": notes})
        return
    console().print(_table(found) if found else Text(f"{where.url} has no models.", "yellow"))
    for text in notes:
        note(text)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models")(models)


def _table(found: Sequence[ModelInfo]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    with_statistics = any(model.totals is not None for model in found)
    for column in ("model", "ver", "state", "backend", "inputs", "outputs"):
        table.add_column(column, header_style="dim", overflow="fold")
    columns = ["max batch", *(["requests", "errors", "batch", "queue ms", "compute ms"] * with_statistics)]
    for column in columns:
        table.add_column(column, header_style="dim", justify="right", no_wrap=True)
    for model in found:
        state = Text(model.state.lower(), _STATES.get(model.state, ""))
        table.add_row(
            Text(model.name, "bold"),
            model.version,
            Text.assemble(state, f" {model.reason}" if model.reason else ""),
            model.platform,
            "\n".join(map(str, model.inputs)),
            "\n".join(map(str, model.outputs)),
            "" if model.max_batch_size is None else str(model.max_batch_size or "none"),
            *(_statistics(model) if with_statistics else ()),
        )
    return table


def _statistics(model: ModelInfo) -> tuple[Text, ...]:
    totals = model.totals
    if totals is None:
        return tuple(Text() for _ in range(5))
    return (
        Text(f"{totals.requests:,}"),
        Text(f"{totals.failures:,}", "red" if totals.failures else ""),
        Text(number(totals.mean_batch)),
        Text(number(totals.queue_ms)),
        Text(number(totals.compute_ms)),
    )


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
