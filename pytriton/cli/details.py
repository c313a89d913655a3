# SPDX-License-Identifier: Apache-2.0
"""One model of a server, version by version, a line for each thing there is to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytriton.monitor.models import ModelInfo
from pytriton.monitor.number import number

__all__ = ["STATES", "print_details"]

STATES: Final = {"READY": "green", "UNAVAILABLE": "red", "LOADING": "yellow", "UNLOADING": "yellow"}
"""Colours of states."""


def print_details(out: Console, versions: Sequence[ModelInfo]) -> None:
    """Print the versions of a model."""
    for model in versions:
        out.print(Text(model.name, "bold"), soft_wrap=True)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for title, value in _lines(model):
            table.add_row(f"  {title}", value)
        out.print(table)


def _lines(model: ModelInfo) -> Iterator[tuple[str, Text | str]]:
    if model.version:
        yield "version", model.version
    state = Text(model.state.lower(), STATES.get(model.state, ""))
    yield "state", Text.assemble(state, f": {model.reason}" if model.reason else "")
    if model.platform:
        yield "backend", model.platform
    if model.max_batch_size is not None:
        yield "batch", f"up to {model.max_batch_size}" if model.max_batch_size else "none"
        yield "responses", "any number, a stream" if model.decoupled else "one"
    if model.inputs:
        yield "inputs", "\n".join(map(str, model.inputs))
    if model.outputs:
        yield "outputs", "\n".join(map(str, model.outputs))
    totals = model.totals
    if totals is None:
        return
    failed = Text(f"{totals.failures:,} failed", "red" if totals.failures else "")
    yield "requests", Text.assemble(f"{totals.requests:,} answered, ", failed)
    if totals.mean_batch is not None:
        yield (
            "means",
            f"batch {number(totals.mean_batch)}, queue {number(totals.queue_ms)} ms, "
            f"compute {number(totals.compute_ms)} ms",
        )
