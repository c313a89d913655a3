# SPDX-License-Identifier: Apache-2.0
"""Sends a load with the right generator."""

from __future__ import annotations

from pathlib import Path

from benchmarks.loads import Load, Measured, PerfAnalyzer, Wrk
from benchmarks.profiles import Profile
from benchmarks.running import Running
from benchmarks.unavailable import Unavailable
from benchmarks.workbench import Workbench

__all__ = ["Generators"]


class Generators:
    """The load generators that are there."""

    def __init__(self, bench: Workbench, directory: Path) -> None:
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self._directory = directory
        self._wrk: Wrk | None = None
        self._perf_analyzer: PerfAnalyzer | None = None
        try:
            self._wrk = Wrk()
        except Unavailable as reason:
            self.missing["wrk"] = str(reason)
        try:
            self._perf_analyzer = PerfAnalyzer(bench)
            self.versions["perf_analyzer"] = self._perf_analyzer.version
        except Exception as error:  # whatever is missing, the loads of wrk go on
            self.missing["perf_analyzer"] = f"{type(error).__name__}: {error}"

    def fits(self, load: Load, running: Running) -> bool:
        """Say whether this load can be sent to this subject."""
        speaks = load.generator == "wrk" or running.subject.speaks_v2
        return speaks and load.generator not in self.missing

    def send(self, load: Load, running: Running, profile: Profile) -> Measured:
        """Send the load to one server."""
        if load.generator == "wrk" and self._wrk is not None:
            return self._wrk.run(load, running, profile.wrk_seconds, self._directory)
        if load.generator == "perf_analyzer" and self._perf_analyzer is not None:
            return self._perf_analyzer.run(load, running, profile.window_ms, self._directory)
        raise Unavailable(self.missing[load.generator])
