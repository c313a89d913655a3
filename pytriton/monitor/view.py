# SPDX-License-Identifier: Apache-2.0
"""The live view of what runs, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pytriton.monitor.number import number
from pytriton.monitor.prometheus import Metrics
from pytriton.monitor.sample import Change, Sample

__all__ = ["view"]

_GB: Final = 1e9
_FULL: Final = 0.9
_NAME: Final = 24
_CELL: Final = 5
_BETWEEN: Final = 3


class _Column(NamedTuple):
    title: str
    cell: Callable[[Change], Text | str]
    value: Callable[[Change], float | None] = lambda _: 0.0
    """What it shows; the column is left out if that is None for all models."""
    keep: int = 9
    """Those with the least are left out first where there is no room for all."""


def view(
    title: str,
    sample: Sample,
    found: Sequence[Change],
    seconds: float,
    width: int | None = 120,
    *,
    lasting: bool = True,
) -> RenderableType:
    """The view.

    Args:
        title: The server.
        sample: The last look.
        found: What has happened since the one before.
        seconds: Between the two.
        width: Characters of a line; None if it may have any length.
        lasting: Whether more views come.
    """
    head = Table.grid(expand=width is not None, padding=(0, _BETWEEN, 0, 0))
    head.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    how = f"every {seconds:g} s, Ctrl-C ends it" if lasting else f"of {seconds:g} s"
    head.add_column(justify="right", no_wrap=True, min_width=len(how), max_width=len(how))
    head.add_row(Text(title, "bold"), Text(how, "dim"))
    parts: list[RenderableType] = [head, _summary(found, sample.metrics), Text()]
    parts.append(_models(found, width) if found else Text("The server has no models.", "yellow"))
    parts += [Text(note, "yellow") for note in sample.notes]
    return Group(*parts)


def _summary(found: Sequence[Change], metrics: Metrics | None) -> Text:
    requests = sum(change.requests_per_s for change in found)
    failures = sum(change.failures_per_s for change in found)
    text = Text.assemble(
        ("requests/s ", "dim"),
        (number(requests), "bold"),
        ("   errors/s ", "dim"),
        (number(failures), "bold red" if failures else "bold"),
    )
    if metrics is None:
        return text
    used, total = metrics.total("nv_cpu_memory_used_bytes"), metrics.total("nv_cpu_memory_total_bytes")
    if used is not None and total:
        style = "bold red" if used > _FULL * total else "bold"
        text.append("   memory ", "dim").append(f"{used / _GB:.1f} of {total / _GB:.1f} GB", style)
    cpu = metrics.total("nv_cpu_utilization")
    if cpu is not None:
        text.append("   CPU ", "dim").append(f"{cpu:.0%}", "bold")
    return _add_gpus(text, metrics)


def _add_gpus(text: Text, metrics: Metrics) -> Text:
    busy = metrics.values("nv_gpu_utilization", "gpu_uuid")
    used = metrics.values("nv_gpu_memory_used_bytes", "gpu_uuid")
    total = metrics.values("nv_gpu_memory_total_bytes", "gpu_uuid")
    for position, gpu in enumerate(sorted(total)):
        text.append(f"   GPU {position} ", "dim").append(f"{busy.get(gpu, 0.0):.0%}", "bold")
        text.append(f" {used.get(gpu, 0.0) / _GB:.1f} of {total[gpu] / _GB:.1f} GB")
    return text


def _models(found: Sequence[Change], width: int | None) -> Table:
    several = len({change.name for change in found}) < len(found)
    labels = [f"{change.name}:{change.version}" if several else change.name for change in found]
    name_width = min(max(map(len, labels)), _NAME)
    columns = [column for column in _COLUMNS if any(column.value(change) is not None for change in found)]
    if width is not None:
        while columns and name_width + 2 + sum(_width(column, found) for column in columns) > width:
            columns.remove(min(columns, key=lambda column: column.keep))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    table.add_column("model", header_style="dim", no_wrap=True, overflow="ellipsis", min_width=name_width)
    for column in columns:
        table.add_column(column.title, header_style="dim", justify="right", no_wrap=True)
    for change, label in zip(found, labels, strict=True):
        style = "bold" if change.totals.requests else ""
        table.add_row(Text(label, style), *(column.cell(change) for column in columns))
    return table


def _width(column: _Column, found: Sequence[Change]) -> int:
    return max(len(column.title), _CELL, *(len(column.cell(change)) for change in found)) + _BETWEEN


def _errors(change: Change) -> Text:
    return Text(number(change.failures_per_s), "red" if change.totals.failures else "")


def _pending(change: Change) -> Text:
    pending = change.gauges.pending
    return Text("" if pending is None else f"{pending:,.0f}", "yellow" if pending else "")


def _workers(change: Change) -> Text:
    gauges = change.gauges
    if gauges.workers is None:
        return Text()
    busy = "?" if gauges.busy is None else f"{gauges.busy:.0f}"
    style = "red" if not gauges.workers else "yellow" if gauges.busy == gauges.workers else ""
    return Text(f"{busy}/{gauges.workers:.0f}", style)


def _restarts(change: Change) -> Text:
    restarts = change.gauges.restarts
    return Text("" if restarts is None else f"{restarts:.0f}", "red" if restarts else "")


def _memory(change: Change) -> Text:
    used, limit = change.gauges.memory_mb, change.gauges.memory_limit_mb
    style = "red" if used is not None and limit and used > _FULL * limit else ""
    return Text(number(used), style)


_COLUMNS: Final = (
    _Column("req/s", lambda change: number(change.requests_per_s)),
    _Column("err/s", _errors),
    _Column("batch", lambda change: number(change.totals.mean_batch), keep=3),
    _Column("queue ms", lambda change: number(change.totals.queue_ms), keep=6),
    _Column("compute ms", lambda change: number(change.totals.compute_ms)),
    _Column("in+out ms", lambda change: number(change.totals.copy_ms), keep=0),
    _Column("waiting", _pending, lambda change: change.gauges.pending, keep=5),
    _Column("busy", _workers, lambda change: change.gauges.workers, keep=7),
    _Column("restarts", _restarts, lambda change: change.gauges.restarts or None, keep=4),
    _Column("shm MB", _memory, lambda change: change.gauges.memory_mb, keep=2),
    _Column("total", lambda change: f"{change.whole.requests:,}", keep=1),
)
