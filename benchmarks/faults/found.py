# SPDX-License-Identifier: Apache-2.0
"""What was seen, to and from JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.results import SubjectFacts

__all__ = ["Found", "NotGiven", "Observation"]

_SCHEMA: Final = 1


class NotGiven(Exception):
    """The fault cannot be given to this subject; the message says why."""


@dataclass(frozen=True)
class Observation:
    """One fault, given to one subject in one round."""

    fault: str
    subject: str
    round: int
    facts: dict[str, Any]
    not_given: str | None = None


@dataclass
class Found:
    """Everything that one run saw."""

    created: str
    rounds: int
    machine: dict[str, str | int]
    subjects: list[SubjectFacts] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def of(self, fault: str, subject: str) -> list[Observation]:
        """The rounds of a fault on a subject."""
        return [each for each in self.observations if (each.fault, each.subject) == (fault, subject)]

    def add(self, later: Found) -> None:
        """Add another run; what it saw of a fault on a subject takes the place of what was seen before."""
        known = {facts.name for facts in self.subjects}
        self.subjects += [facts for facts in later.subjects if facts.name not in known]
        replaced = {(each.fault, each.subject) for each in later.observations}
        self.observations = [
            each for each in self.observations if (each.fault, each.subject) not in replaced
        ] + later.observations
        again = tuple(f"{fault} on {subject}," for fault, subject in replaced)
        self.problems = [each for each in self.problems if not each.startswith(again)] + later.problems

    def write(self, path: Path) -> None:
        """Write all as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Found:
        """Read what `write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        if (schema := data.pop("schema", None)) != _SCHEMA:
            raise ValueError(f"{path} has schema {schema}; this version reads {_SCHEMA}")
        data["subjects"] = [SubjectFacts(**item) for item in data["subjects"]]
        data["observations"] = [Observation(**item) for item in data["observations"]]
        return cls(**data)
