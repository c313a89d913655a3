# SPDX-License-Identifier: Apache-2.0
"""The picture of a benchmark: latency over rate, and the rate over time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pytriton.bench.run import Step
from pytriton.client.exceptions import PyTritonClientValueError

__all__ = ["check_can_draw", "save_png", "svg"]

_SHOWN: Final = (("p50", "#4c78a8"), ("p95", "#f2a93b"), ("p99", "#d1495b"))
_GREY: Final = "#666666"


def check_can_draw() -> None:
    """Refuse before anything is measured if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise PyTritonClientValueError(
            'Pictures and reports need matplotlib: pip install "pytriton[bench]"'
        ) from None


def save_png(title: str, steps: Sequence[Step], path: Path) -> None:
    """Draw into a PNG file."""
    _figure(title, steps).savefig(path, format="png", dpi=150)


def svg(title: str, steps: Sequence[Step]) -> str:
    """Draw as SVG, to stand in a page."""
    buffer = io.StringIO()
    _figure(title, steps).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _figure(title: str, steps: Sequence[Step]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2)
    drawn = [step for step in steps if step.outcome.percentiles_ms]
    _draw_latency(left, drawn)
    _draw_rate(right, drawn)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        if drawn:
            axes.legend(frameon=False, fontsize=8)
    return figure


def _draw_latency(axes: Any, steps: Sequence[Step]) -> None:
    rates = [step.outcome.rate for step in steps]
    for name, color in _SHOWN:
        values = [step.outcome.percentiles_ms[name] for step in steps]
        axes.plot(rates, values, "o-", color=color, label=name, markersize=4)
    for step in steps:
        label = f"{step.level.rate:g}/s" if step.level.rate else str(step.level.concurrency)
        axes.annotate(
            label,
            (step.outcome.rate, step.outcome.percentiles_ms["p50"]),
            textcoords="offset points",
            xytext=(4, -10),
            fontsize=7,
            color=_GREY,
        )
    axes.set_xlabel("answers a second (numbers: requests in flight, or a second)")
    axes.set_ylabel("latency, ms")
    values = [step.outcome.percentiles_ms[name] for step in steps for name, _ in _SHOWN]
    if values and min(values) > 0 and max(values) / min(values) > 30:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)


def _draw_rate(axes: Any, steps: Sequence[Step]) -> None:
    for step in steps:
        slices = step.outcome.slices
        width = step.outcome.seconds / len(slices)
        times = [(position + 0.5) * width for position in range(len(slices))]
        axes.plot(times, slices, label=str(step.level), linewidth=1.2)
    axes.set_xlabel("seconds")
    axes.set_ylabel("answers a second")
    axes.set_ylim(bottom=0)
