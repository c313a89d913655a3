# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.loads import LOADS
from benchmarks.medians import Spread, ratio_per_round, spread
from benchmarks.report.targets import evaluate
from benchmarks.results import Results

__all__ = ["by_load", "copies_table", "lives_table", "markdown", "ratio_cell", "targets_table"]

_OURS = "pytriton"
_Cell = Callable[[str, str], str]


def markdown(results: Results) -> str:
    """Return the whole report."""
    sections = [
        ("Targets", "", targets_table(results)),
        (
            "Requests per second",
            "Median of the rounds, in brackets the lowest and the highest.",
            by_load(results, _quantity(results, "rate", "{:,.0f}")),
        ),
        (
            "This package against the others",
            "Ratio of the requests per second within a round: median, lowest and highest.",
            by_load(results, lambda load, subject: ratio_cell(results, load, subject, "rate")),
        ),
        ("Median latency, µs", "", by_load(results, _quantity(results, "p50_us", "{:,.0f}"))),
        (
            "99th percentile of the latency, µs",
            "",
            by_load(results, _quantity(results, "p99_us", "{:,.0f}")),
        ),
        (
            "CPU seconds per 1,000 requests",
            "User and system time of all server-side processes.",
            by_load(results, _quantity(results, "server_cpu_s_per_1000", "{:.3f}")),
        ),
        ("Requests per batch", "", by_load(results, _quantity(results, "mean_batch", "{:.1f}"))),
        ("Bytes copied", "Counted bytes over the bytes of the tensors.", copies_table(results)),
        ("Start, stop, memory", "One model; memory is PSS, idle, after one request.", lives_table(results)),
        ("Soak", "Memory of all processes.", _soaks(results)),
    ]
    parts = [f"# Benchmark of {results.created}", _machine(results)]
    parts += [
        "\n\n".join(filter(None, (f"## {title}", note, table))) for title, note, table in sections if table
    ]
    if results.problems:
        parts.append("## Problems\n\n" + "\n".join(f"- {problem}" for problem in results.problems))
    return "\n\n".join(parts) + "\n"


def targets_table(results: Results) -> str:
    """Return the verdict on what must be reached."""
    verdict = {True: "yes", False: "**no**", None: "?"}
    rows = [[t.what, t.required, t.measured, verdict[t.met]] for t in evaluate(results)]
    return _table(["target", "required", "measured", "met"], rows)


def _machine(results: Results) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    rows = [
        [f.title, f.unavailable or ", ".join(f"{key} {value}" for key, value in f.versions.items())]
        for f in results.subjects
    ]
    profile = ", ".join(f"{key} {value}" for key, value in results.profile.items())
    return f"Machine: {facts}.\n\nProfile: {profile}.\n\n" + _table(
        ["subject", "versions, or why it is missing"], rows
    )


def by_load(results: Results, cell: _Cell) -> str:
    """Return a table of a row for each load and a column for each subject that has any cells."""
    measured = {(sample.load, sample.subject) for sample in results.samples}
    columns = {
        facts.title: [
            cell(load.name, facts.name) if (load.name, facts.name) in measured else "" for load in LOADS
        ]
        for facts in results.subjects
    }
    columns = {title: cells for title, cells in columns.items() if any(cells)}
    rows = [[load.title, *cells] for load, *cells in zip(LOADS, *columns.values(), strict=True) if any(cells)]
    return _table(["load", *columns], rows)


def _quantity(results: Results, quantity: str, form: str) -> _Cell:
    def cell(load: str, subject: str) -> str:
        return _format(spread(results.per_round(load, subject, quantity).values()), form)

    return cell


def ratio_cell(results: Results, load: str, subject: str, quantity: str) -> str:
    """Return a quantity of this package over that of another subject; nothing for itself."""
    if subject == _OURS:
        return ""
    ours, theirs = (results.per_round(load, name, quantity) for name in (_OURS, subject))
    return _format(ratio_per_round(ours, theirs), "{:.2f}")


def _format(found: Spread | None, form: str) -> str:
    if found is None:
        return ""
    if found.count == 1:
        return form.format(found.median)
    return f"{form.format(found.median)} ({form.format(found.low)} … {form.format(found.high)})"


def copies_table(results: Results) -> str:
    """Return the copies under each load and of full batches."""
    rows = []
    for load in LOADS:
        copied = [
            spread(results.per_round(load.name, _OURS, f"copies_{way}").values()) for way in ("in", "out")
        ]
        if any(copied):
            rows.append(
                [load.title, f"{load.tensor_bytes:,}", *(_format(found, "{:.2f}") for found in copied)]
            )
    for batch in results.full_batches:
        title = f"one batch of {batch.rows}, function with a result of its own"
        rows.append([title, f"{batch.tensor_bytes:,}", f"{batch.copies_in:.2f}", f"{batch.copies_out:.2f}"])
    return _table(["load", "bytes of a request's tensor", "copies in", "copies out"], rows)


def lives_table(results: Results) -> str:
    """Return how long subjects take to start and stop, and what memory they need."""
    rows = []
    for facts in results.subjects:
        lives = [life for life in results.startups if life.subject == facts.name]
        idle = next((item for item in results.idle if item.subject == facts.name), None)
        if not lives:
            continue
        times = [
            [life.process_to_answer_s for life in lives],
            [s for life in lives if (s := life.construct_to_answer_s) is not None],
            [s for life in lives if (s := life.stop_call_s) is not None],
            [life.exit_s for life in lives],
            results.imports.get(facts.name, []),
        ]
        memory = ["", "", "", ""]
        if idle is not None:
            sizes = (idle.app_pss_bytes, idle.others_pss_bytes, idle.channel_pss_bytes)
            memory = [*(f"{size / 1e6:.1f}" if size else "" for size in sizes), f"{idle.cpu_percent:.1f}"]
        rows.append([facts.title, *(_format(spread(values), "{:.2f}") for values in times), *memory])
    head = [
        "subject",
        "process start to first answer, s",
        "imports excluded, s",
        "stop(), s",
        "asked to stop to gone, s",
    ]
    head += ["import, s", "app, MB", "other processes, MB", "channel in the app, MB", "idle CPU, %"]
    return _table(head, rows)


def _soaks(results: Results) -> str:
    rows = [
        [
            soak.subject,
            soak.kind,
            f"{point.requests:,}",
            f"{point.rss_bytes / 1e6:.1f}",
            f"{point.pss_bytes / 1e6:.1f}",
        ]
        for soak in results.soaks
        for point in soak.points
    ]
    return _table(["subject", "requests of", "answered", "RSS, MB", "PSS, MB"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )
