# SPDX-License-Identifier: Apache-2.0
"""python -m tests.chaos --minutes 60 --report benchmarks/mixed_traffic.md."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import sys
from pathlib import Path

from tests.chaos.soak import Outcome, run_soak


def report(outcome: Outcome, minutes: float, part_s: float) -> str:
    """The report as Markdown."""
    lines = [
        "# Mixed traffic",
        "",
        f"`python -m tests.chaos --minutes {minutes:g} --part-seconds {part_s:g}` on "
        f"Python {platform.python_version()}, {os.cpu_count()} cores: clients of many kinds ask at the same "
        "time, and check every answer. An answer may be missing only around a `kill -9`, and only if what "
        "was killed had to give it; or around the death of a server that died by itself, as Triton 2.51 may "
        "when a stream is cancelled as it ends (docs/streaming.md).",
        "",
        f"Wrong, crossed or missing answers, and clients that hung: {len(outcome.wrong)}.",
        "",
        "| killed | times | median until ready again | longest |",
        "| --- | --- | --- | --- |",
        *(_of_kills(what, outcome) for what in ("worker", "server", "server, by itself")),
        "",
        "| what | count |",
        "| --- | --- |",
        *(f"| {name} | {count:,} |" for name, count in sorted(outcome.counts.items())),
        "",
        "Between the parts, when nobody asked:",
        "",
        "| " + " | ".join(field.name for field in dataclasses.fields(outcome.looks[0])) + " |",
        "| " + " | ".join("---" for _ in dataclasses.fields(outcome.looks[0])) + " |",
        *(
            "| " + " | ".join(f"{value:,.0f}" for value in dataclasses.astuple(look)) + " |"
            for look in outcome.looks
        ),
        "",
        *(f"- {text}" for text in outcome.wrong[:50]),
    ]
    return "\n".join(lines) + "\n"


def _of_kills(what: str, outcome: Outcome) -> str:
    times = [kill.seconds for kill in outcome.kills if kill.what == what]
    if not times:
        return f"| {what} | 0 | | |"
    return f"| {what} | {len(times)} | {statistics.median(times):.2f} s | {max(times):.2f} s |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--part-seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=2, help="of each kind (default %(default)s)")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    parts = max(2, round(options.minutes * 60 / options.part_seconds))
    outcome = run_soak(
        parts,
        options.part_seconds,
        clients_of_a_kind=options.clients,
        say=lambda text: print(text, flush=True),
    )
    text = report(outcome, options.minutes, options.part_seconds)
    print(text)
    if options.report is not None:
        options.report.write_text(text, encoding="utf-8")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
