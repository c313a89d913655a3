# SPDX-License-Identifier: Apache-2.0
"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.loads import LOADS
from benchmarks.medians import Spread, ratio_per_round, spread
from benchmarks.report.targets import evaluate
from benchmarks.results import Results

__all__ = ["markdown", "targets_table"]

_OURS = "pytriton"
_Cell = Callable[[str, str], str]


def markdown(results: Results) -> str:
    """Return the whole report."""
    sections = [
        ("Targets", "", targets_table(results)),
        (
            "Requests per second",
            "Median of the rounds, in brackets the lowest and the highest.",
            _by_load(results, _quantity(results, "rate", "{:,.0f}")),
        ),
        (
            "This package against the others",
            "Ratio of the requests per second within a round: median, lowest and highest.",
            _by_load(results, lambda load, subject: _ratio(results, load, subject)),
        ),
        ("Median latency, µs", "", _by_load(results, _quantity(results, "p50_us", "{:,.0f}"))),
        (
            "99th percentile of the latency, µs",
            "",
            _by_load(results, _quantity(results, "p99_us", "{:,.0f}")),
        ),
        (
            "CPU seconds per 1,000 requests",
            "User and system time of all server-side processes.",
            _by_load(results, _quantity(results, "server_cpu_s_per_1000", "{:.3f}")),
        ),
        ("Requests per batch", "", _by_load(results, _quantity(results, "mean_batch", "{:.1f}"))),
        ("Bytes copied", "Counted bytes over the bytes of the tensors.", _copies(results)),
        ("Start, stop, memory", "One model; memory is PSS, idle, after one request.", _lives(results)),
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


def _by_load(results: Results, cell: _Cell) -> str:
    subjects = [facts for facts in results.subjects if facts.unavailable is None]
    measured = {(sample.load, sample.subject) for sample in results.samples}
    rows = []
    for load in LOADS:
        cells = [
            cell(load.name, facts.name) if (load.name, facts.name) in measured else "" for facts in subjects
        ]
        if any(cells):
            rows.append([load.title, *cells])
    return _table(["load", *(facts.title for facts in subjects)], rows)


def _quantity(results: Results, quantity: str, form: str) -> _Cell:
    def cell(load: str, subject: str) -> str:
        return _format(spread(results.per_round(load, subject, quantity).values()), form)

    return cell


def _ratio(results: Results, load: str, subject: str) -> str:
    if subject == _OURS:
        return ""
    ours, theirs = (results.per_round(load, name, "rate") for name in (_OURS, subject))
    return _format(ratio_per_round(ours, theirs), "{:.2f}")


def _format(found: Spread | None, form: str) -> str:
    if found is None:
        return ""
    if found.count == 1:
        return form.format(found.median)
    return f"{form.format(found.median)} ({form.format(found.low)} … {form.format(found.high)})"


def _copies(results: Results) -> str:
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


def _lives(results: Results) -> str:
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
