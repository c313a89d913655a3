# SPDX-License-Identifier: Apache-2.0
"""The page on speed in the documentation: ratios, which mean something on another machine too."""

from __future__ import annotations

from collections import Counter

from benchmarks.report.table import by_load, copies_table, lives_table, ratio_cell, targets_table
from benchmarks.results import Results

__all__ = ["page"]

_INTRODUCTION = """\
# How fast it is

This page is written by `python -m benchmarks page`; do not edit it. [benchmarks](../benchmarks/README.md)
explains what is measured, and how to measure it on your own machine.

Each server returns its input. The servers take turns within each round, so both sides of a ratio saw the same
machine. A cell has the median of the rounds with the lowest and the highest in brackets. The C++ no-op
backend is Triton without any Python: nothing in Python that Triton serves can be faster.
"""
_PICTURE = "![Requests per second, the C++ no-op backend being 1]({picture})"


def page(results: Results, picture: str | None) -> str:
    """Return the page; `picture` is the path from it to its picture."""
    sections = [
        (
            "Requests per second",
            "This package divided by each of the others; above 1, this package is faster.",
            by_load(results, lambda load, subject: ratio_cell(results, load, subject, "rate")),
        ),
        (
            "CPU time for a request",
            "This package divided by each of the others, all server-side processes; below 1, it needs less.",
            by_load(
                results, lambda load, subject: ratio_cell(results, load, subject, "server_cpu_s_per_1000")
            ),
        ),
        ("Bytes copied", "Bytes counted, divided by the bytes of the tensors.", copies_table(results)),
        (
            "Start, stop, memory",
            "One model. Memory is PSS, idle, after one request.",
            lives_table(results),
        ),
        ("Targets", "", targets_table(results)),
    ]
    parts = [_INTRODUCTION, _machine(results)]
    if picture is not None:
        parts.append(_PICTURE.format(picture=picture))
    for title, note, table in sections:
        if table:
            parts.append("\n\n".join(filter(None, (f"## {title}", note, table))))
    if results.problems:
        parts.append(
            "Not measured: " + "; ".join(problem.splitlines()[0] for problem in results.problems) + "."
        )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _rounds(results: Results) -> int:
    return max(Counter((sample.load, sample.subject) for sample in results.samples).values(), default=0)


def _machine(results: Results) -> str:
    facts = results.machine
    gigabytes = int(facts.get("memory_kib", 0)) * 1024 / 1e9
    versions = "; ".join(
        f"{subject.title}: " + ", ".join(f"{name} {version}" for name, version in subject.versions.items())
        for subject in results.subjects
        if subject.unavailable is None and subject.versions
    )
    return (
        f"Measured on {results.created[:10]}, in {_rounds(results)} rounds, on a machine of "
        f"{facts.get('cores', '?')} cores ({facts.get('cpu', 'unknown')}, {facts.get('architecture', '?')}, "
        f"{gigabytes:.0f} GB), which the load generators shared with the servers. {versions}."
    )
