# SPDX-License-Identifier: Apache-2.0
"""The report of a benchmark: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from pytriton.bench.picture import svg
from pytriton.bench.run import Step

__all__ = ["html_report"]

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #222; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; color: #555; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: #555; } dd { margin: 0; }
svg { max-width: 100%; height: auto; } .bad { color: #b3261e; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; } th, dt { color: #aaa; } th, td { border-color: #444; }
  svg { background: #fff; border-radius: 6px; }
}
"""
_COLUMNS: Final = ("load", "answers/s", "mean ms", "p50", "p90", "p95", "p99", "p99.9", "most", "errors")
_OF_SERVER: Final = ("mean batch", "queue ms", "compute ms")


def html_report(title: str, facts: Mapping[str, str], steps: Sequence[Step], notes: Sequence[str]) -> str:
    """The page.

    Args:
        title: Its heading.
        facts: What was measured, how and where.
        steps: What came of each level.
        notes: What the reader should know.
    """
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    remarks = [*notes, *(f"{step.level}: {note}" for step in steps for note in step.outcome.notes)]
    errors = [
        f"{step.level}: {count} times: {message}"
        for step in steps
        for message, count in step.outcome.errors.items()
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><dl>{listed}</dl>"
        f"<h2>Results</h2>{_table(steps)}{_list('Remarks', remarks)}{_list('Errors', errors)}"
        f"<h2>Picture</h2>{svg(title, steps)}</body></html>\n"
    )


def _table(steps: Sequence[Step]) -> str:
    with_server = any(step.server is not None for step in steps)
    columns = [*_COLUMNS, *(_OF_SERVER if with_server else ())]
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = "".join(f"<tr>{_row(step, with_server)}</tr>" for step in steps)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(step: Step, with_server: bool) -> str:
    outcome = step.outcome
    percentiles = outcome.percentiles_ms
    cells = [
        escape(str(step.level)),
        f"{outcome.rate:,.1f}",
        _number(outcome.mean_ms),
        *(_number(percentiles.get(name)) for name in ("p50", "p90", "p95", "p99", "p99.9")),
        _number(outcome.most_ms),
        f'<span class="bad">{outcome.failures}</span>' if outcome.failures else "0",
    ]
    if with_server:
        totals = step.server
        cells += (
            [_number(value) for value in (totals.mean_batch, totals.queue_ms, totals.compute_ms)]
            if totals is not None
            else [""] * len(_OF_SERVER)
        )
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}"
