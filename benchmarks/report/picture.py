# SPDX-License-Identifier: Apache-2.0
"""The results as a picture; matplotlib is needed for this and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from benchmarks.loads import LOADS
from benchmarks.medians import ratio_per_round, spread
from benchmarks.results import Results, SubjectFacts
from benchmarks.unavailable import Unavailable

__all__ = ["draw", "draw_ratios"]

_LIMIT = "noop"

_COLOURS = {
    "pytriton": "#2f7d32",
    "noop": "#9e9e9e",
    "python_backend": "#1f6fb2",
    "pytriton_0_7": "#e08a1e",
    "fastapi": "#8e5bb0",
    "litserve": "#c0494a",
}
_PANELS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("HTTP JSON, 4 floats: requests/s", ("http-4-",), "rate"),
    ("gRPC, 4 floats: requests/s", ("grpc-4-",), "rate"),
    ("600 kB tensors and 10,000 strings: requests/s", ("grpc-600kB", "shm-", "grpc-strings"), "rate"),
    ("Server CPU seconds per 1,000 requests, HTTP JSON", ("http-4-",), "server_cpu_s_per_1000"),
)


def draw(results: Results, *paths: Path) -> None:
    """Write the picture to each of `paths`; the suffix says the format."""
    figure = _figure(14, 9)
    axes = figure.subplots(2, 2).flatten()
    subjects = [facts for facts in results.subjects if facts.unavailable is None]
    for axis, (title, prefixes, quantity) in zip(axes, _PANELS, strict=True):
        loads = [load.name for load in LOADS if load.name.startswith(prefixes)]
        _panel(axis, results, subjects, loads, quantity)
        axis.set_title(title, loc="left", fontsize=11)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(subjects), frameon=False)
    cores, cpu = results.machine.get("cores", "?"), results.machine.get("cpu", "?")
    figure.suptitle(f"{results.created}, {cores} cores shared with the load generator, {cpu}", fontsize=10)
    for path in paths:
        figure.savefig(path, dpi=120)


def draw_ratios(results: Results, path: Path) -> None:
    """Write a picture of the requests per second of all subjects over those of the no-op."""
    figure = _figure(11, 7)
    subjects = [facts for facts in results.subjects if facts.unavailable is None and facts.name != _LIMIT]
    for axis, (title, prefixes, _) in zip(figure.subplots(2, 1), _PANELS[:2], strict=True):
        loads = [load.name for load in LOADS if load.name.startswith(prefixes)]
        width = 0.8 / max(len(subjects), 1)
        for position, facts in enumerate(subjects):
            heights = [_of_limit(results, load, facts.name) for load in loads]
            places = [index - 0.4 + (position + 0.5) * width for index in range(len(loads))]
            bars = axis.bar(places, heights, width * 0.92, label=facts.title, color=_COLOURS.get(facts.name))
            axis.bar_label(bars, [f"{height:.2f}" if height else "" for height in heights], fontsize=7)
        axis.axhline(1, color=_COLOURS[_LIMIT], linewidth=1)
        axis.set_xticks(range(len(loads)), [load.rsplit("-", 1)[-1] for load in loads])
        axis.set_title(title.removesuffix(": requests/s"), loc="left", fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(0, 1.15)
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Requests per second; the C++ no-op backend is 1", fontsize=11)
    # Neither names that change from call to call nor the time: the picture is kept with the sources.
    settings = {"svg.hashsalt": "pytriton", "svg.fonttype": "none"}
    with importlib.import_module("matplotlib").rc_context(settings):
        figure.savefig(path, metadata={"Date": None})


def _of_limit(results: Results, load: str, subject: str) -> float:
    own, limit = (results.per_round(load, name, "rate") for name in (subject, _LIMIT))
    found = ratio_per_round(own, limit)
    return found.median if found is not None else 0.0


def _figure(width: float, height: float) -> Any:
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise Unavailable("the picture needs matplotlib: pip install matplotlib") from error
    return figures.Figure(figsize=(width, height), layout="constrained")


def _panel(
    axis: Any, results: Results, subjects: list[SubjectFacts], loads: list[str], quantity: str
) -> None:
    width = 0.8 / max(len(subjects), 1)
    for position, facts in enumerate(subjects):
        places, heights, below, above = [], [], [], []
        for index, load in enumerate(loads):
            found = spread(results.per_round(load, facts.name, quantity).values())
            if found is not None:
                places.append(index - 0.4 + (position + 0.5) * width)
                heights.append(found.median)
                below.append(found.median - found.low)
                above.append(found.high - found.median)
        axis.bar(places, heights, width * 0.92, label=facts.title, color=_COLOURS.get(facts.name))
        if any(below) or any(above):
            axis.errorbar(
                places, heights, yerr=[below, above], fmt="none", ecolor="#333333", elinewidth=0.8, capsize=2
            )
    axis.set_xticks(
        range(len(loads)), [load.removeprefix("http-4-").removeprefix("grpc-4-") for load in loads]
    )
    axis.set_xlim(-0.5, len(loads) - 0.5)
    axis.spines[["top", "right"]].set_visible(False)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    axis.set_ylim(bottom=0)
