# SPDX-License-Identifier: Apache-2.0
"""One run from beginning to end."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Sequence

from benchmarks.loads import Load
from benchmarks.machine import describe_machine
from benchmarks.measure.full_batch import measure_full_batch
from benchmarks.measure.generators import Generators
from benchmarks.measure.lifecycle import measure_imports, measure_lifecycle
from benchmarks.measure.rounds import run_rounds
from benchmarks.measure.soak import run_soak
from benchmarks.profiles import Profile
from benchmarks.results import Results
from benchmarks.running import Running
from benchmarks.subjects import Subject
from benchmarks.subjects.prepared import prepared
from benchmarks.workbench import Workbench

__all__ = ["Session"]

_MODELS = ("identity", "strings")


class Session:
    """Prepares the subjects, then measures; what fails on one subject is recorded and the others go on."""

    def __init__(
        self,
        bench: Workbench,
        subjects: Sequence[type[Subject]],
        profile: Profile,
        say: Callable[[str], None],
    ) -> None:
        self._profile = profile
        self._say = say
        self._directory = bench.cache.directory("run")
        self.results = Results(
            created=time.strftime("%Y-%m-%d %H:%M:%S"),
            profile=dataclasses.asdict(profile),
            machine=describe_machine(),
        )
        self._subjects = [subject for kind in subjects if (subject := self._prepared(kind(bench)))]
        self._generators = Generators(bench, self._directory)
        self.results.machine |= self._generators.versions
        self.results.problems += [f"no {name}: {reason}" for name, reason in self._generators.missing.items()]

    def lifecycle(self) -> None:
        """Measure imports, starts, idle memory and stops."""
        measure_imports(self._subjects, self._profile, self.results)
        measure_lifecycle(self._subjects, self._directory, self._profile, self.results, self._say)

    def copies(self) -> None:
        """Count the copies of a full batch where the subject counts them."""
        for subject in self._subjects:
            if subject.counts_copies:
                try:
                    self.results.full_batches += measure_full_batch(subject, self._directory)
                except Exception as error:  # recorded, so that the rest of the run is not lost
                    self.results.problems.append(f"full batch on {subject.name}: {error}")

    def loads(self, loads: Sequence[Load]) -> None:
        """Measure the loads, all subjects running side by side."""
        running: list[Running] = []
        try:
            for subject in self._subjects:
                if server := self._started(subject):
                    running.append(server)
            run_rounds(
                running, loads, self._generators, self._profile, self.results, self._restarted, self._say
            )
        finally:
            for server in running:
                server.stop()

    def soak(self, small: int, large: int) -> None:
        """Soak each v2 subject of this session."""
        for subject in self._subjects:
            if subject.speaks_v2:
                try:
                    self.results.soaks += run_soak(
                        subject, small, large, self._generators, self._directory, self._say
                    )
                except Exception as error:  # recorded, so that the rest of the run is not lost
                    self.results.problems.append(f"soak of {subject.name}: {error}")

    def close(self) -> None:
        """Note the machine's load at the end and remove what the servers wrote."""
        self.results.load_after = f"{os.getloadavg()[0]:.2f}"
        shutil.rmtree(self._directory, ignore_errors=True)

    def _prepared(self, subject: Subject) -> Subject | None:
        self._say(f"preparing {subject.name}")
        facts = prepared(subject)
        self.results.subjects.append(facts)
        if facts.unavailable is not None:
            self._say(f"  skipped: {facts.unavailable}")
            return None
        return subject

    def _restarted(self, server: Running) -> Running | None:
        server.end()
        return self._started(server.subject)

    def _started(self, subject: Subject) -> Running | None:
        server = Running(subject, self._directory / subject.name, _MODELS)
        try:
            server.wait_answered()
            server.wait_ready()
        except Exception as error:  # recorded; the others go on
            self.results.problems.append(f"start of {subject.name} for the loads: {error}")
            server.end()
            return None
        return server
