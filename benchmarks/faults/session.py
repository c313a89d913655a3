# SPDX-License-Identifier: Apache-2.0
"""One run: every fault on every subject, round by round, each on a server of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.faults.contestants import RestartingLitServe
from benchmarks.faults.faults import Fault
from benchmarks.faults.found import Found, NotGiven, Observation
from benchmarks.faults.server import Server
from benchmarks.machine import describe_machine
from benchmarks.subjects import Subject
from benchmarks.subjects.prepared import prepared
from benchmarks.workbench import Workbench

__all__ = ["Session"]

_STARTS: Final = 4


class Session:
    """Prepares the subjects, then gives the faults; what fails on one is recorded and the others go on."""

    def __init__(
        self,
        bench: Workbench,
        subjects: Sequence[type[Subject]],
        directory: Path,
        rounds: int,
        say: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._say = say
        self.found = Found(time.strftime("%Y-%m-%d %H:%M:%S"), rounds, describe_machine())
        self._subjects = [subject for kind in subjects if (subject := self._prepared(kind(bench)))]

    def run(self, faults: Sequence[Fault]) -> None:
        """Give the faults."""
        for number in range(self.found.rounds):
            for fault in faults:
                for subject in self._subjects:
                    if isinstance(subject, RestartingLitServe) and not fault.variants:
                        continue
                    self._give(fault, subject, number)

    def _give(self, fault: Fault, subject: Subject, number: int) -> None:
        facts: dict[str, object] = {}
        not_given = None
        try:
            with self._started(subject) as server:
                facts = fault.give(server)
        except NotGiven as reason:
            not_given = str(reason)
        except Exception as error:  # recorded, so that the rest of the run is not lost
            self.found.problems.append(f"{fault.name} on {subject.name}, round {number}: {error}")
            self._say(f"{number} {fault.name} {subject.name}: {type(error).__name__}: {error}")
            return
        self.found.observations.append(Observation(fault.name, subject.name, number, facts, not_given))
        self._say(f"{number} {fault.name} {subject.name}: {not_given or facts}")

    @contextlib.contextmanager
    def _started(self, subject: Subject) -> Iterator[Server]:
        """A server; starts that fail are counted, for they are not what is looked at."""
        with contextlib.ExitStack() as stack:
            for attempt in range(_STARTS):
                try:
                    server = stack.enter_context(Server(subject, self._directory / subject.name))
                    break
                except (RuntimeError, OSError) as error:
                    reason = str(error).splitlines()[0]
                    if attempt == _STARTS - 1:
                        raise
                    self.found.problems.append(f"a start of {subject.title} failed: {reason}")
            yield server

    def _prepared(self, subject: Subject) -> Subject | None:
        facts = prepared(subject)
        self.found.subjects.append(facts)
        if facts.unavailable is not None:
            self._say(f"{subject.name} is left out: {facts.unavailable}")
            return None
        return subject
