# SPDX-License-Identifier: Apache-2.0
"""Start, idle memory, stop, and import time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import process_tree
from benchmarks.profiles import Profile
from benchmarks.results import Idle, Results, Startup
from benchmarks.running import Running
from benchmarks.subjects import Subject

__all__ = ["measure_imports", "measure_lifecycle"]

_IMPORT_PROBE = """
import time
begin = time.perf_counter()
{statement}
print(time.perf_counter() - begin)
"""


def measure_imports(subjects: Sequence[Subject], profile: Profile, results: Results) -> None:
    """Time the imports in fresh interpreters, taking turns; the first turn warms caches and is left out."""
    importers = [subject for subject in subjects if subject.import_statement]
    for attempt in range(profile.imports + 1):
        for subject in importers:
            probe = _IMPORT_PROBE.format(statement=subject.import_statement)
            command = [str(subject.interpreter), "-I", "-c", probe]
            try:
                result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            except subprocess.CalledProcessError as error:
                results.problems.append(f"import of {subject.name}: {error.stderr.strip()[-500:]}")
                continue
            if attempt > 0:
                results.imports.setdefault(subject.name, []).append(float(result.stdout))


def measure_lifecycle(
    subjects: Sequence[Subject],
    directory: Path,
    profile: Profile,
    results: Results,
    say: Callable[[str], None],
) -> None:
    """Start and stop each subject with one model, taking turns; the last turn looks at the idle memory."""
    for attempt in range(profile.startups):
        for subject in subjects:
            try:
                _one_life(subject, directory, attempt, profile, results)
            except Exception as error:  # one subject that fails must not end the run of the others
                results.problems.append(f"start of {subject.name}, attempt {attempt}: {error}")
        say(f"start and stop {attempt + 1} of {profile.startups} done")


def _one_life(subject: Subject, directory: Path, attempt: int, profile: Profile, results: Results) -> None:
    server = Running(subject, directory / subject.name, ("identity",))
    try:
        answered = server.wait_answered()
        if attempt == profile.startups - 1:
            results.idle.append(_idle(server, profile.idle_seconds))
        exit_s, left_over = server.stop()
    finally:
        server.end()
    imported, constructing = server.event_ns("imported"), server.event_ns("constructing")
    stopping, stopped = server.event_ns("stopping"), server.event_ns("stopped")
    results.startups.append(
        Startup(
            subject=subject.name,
            attempt=attempt,
            process_to_answer_s=_seconds(server.started_ns, answered) or 0.0,
            imported_s=_seconds(server.started_ns, imported),
            construct_to_answer_s=_seconds(constructing, answered),
            stop_call_s=_seconds(stopping, stopped),
            exit_s=exit_s,
            left_over=left_over,
        )
    )


def _idle(server: Running, seconds: float) -> Idle:
    pids = server.pids
    before = process_tree.cpu_seconds(pids)
    time.sleep(seconds)
    cpu_percent = (process_tree.cpu_seconds(pids) - before) / seconds * 100
    usages = [usage for pid in pids if (usage := process_tree.usage(pid))]
    app = server.process.pid
    is_app = server.event_ns("started") is not None  # a plain tritonserver has no app beside it
    return Idle(
        subject=server.subject.name,
        app_pss_bytes=sum(usage.pss_bytes for usage in usages if is_app and usage.pid == app),
        others_pss_bytes=sum(usage.pss_bytes for usage in usages if not is_app or usage.pid != app),
        channel_pss_bytes=process_tree.channel_bytes(app),
        processes=[
            {"name": usage.name, "pss_bytes": usage.pss_bytes, "rss_bytes": usage.rss_bytes}
            for usage in usages
        ],
        cpu_percent=cpu_percent,
    )


def _seconds(begin_ns: int | None, end_ns: int | None) -> float | None:
    return None if begin_ns is None or end_ns is None else (end_ns - begin_ns) / 1e9
