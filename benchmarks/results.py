# SPDX-License-Identifier: Apache-2.0
"""The raw data of one run, to and from JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["FullBatch", "Idle", "Results", "Sample", "Soak", "SoakPoint", "Startup", "SubjectFacts"]

_SCHEMA = 1


@dataclass(frozen=True)
class SubjectFacts:
    """Who took part, or why not."""

    name: str
    title: str
    versions: dict[str, str]
    unavailable: str | None = None


@dataclass(frozen=True)
class Sample:
    """One load on one subject in one round."""

    load: str
    subject: str
    round: int
    requests: int
    rate: float
    p50_us: float
    p99_us: float
    mean_us: float
    failed: int
    server_cpu_s_per_1000: float
    generator_cpu_s_per_1000: float
    mean_batch: float | None = None
    copies_in: float | None = None  # bytes copied on the way in / bytes of the inputs
    copies_out: float | None = None


@dataclass(frozen=True)
class Startup:
    """One fresh start with one model, and its end."""

    subject: str
    attempt: int
    process_to_answer_s: float
    imported_s: float | None  # process start to the end of the imports
    construct_to_answer_s: float | None  # imports excluded
    stop_call_s: float | None  # the call of stop() in the app
    exit_s: float  # asked to stop -> process gone
    left_over: int  # processes that outlived it


@dataclass(frozen=True)
class Idle:
    """A subject with one model after one answered request."""

    subject: str
    app_pss_bytes: int
    others_pss_bytes: int  # server, stubs, stores
    channel_pss_bytes: int  # the app's share of the memory that it shares with the server
    processes: list[dict[str, str | int]]
    cpu_percent: float


@dataclass(frozen=True)
class FullBatch:
    """One dynamic batch of 128 requests to a function with a result of its own."""

    rows: int
    tensor_bytes: int
    copies_in: float
    copies_out: float


@dataclass(frozen=True)
class SoakPoint:
    """Memory after a number of requests."""

    requests: int
    rss_bytes: int
    pss_bytes: int


@dataclass(frozen=True)
class Soak:
    """Memory over very many requests."""

    subject: str
    kind: str  # "small" or "large"
    tensor_bytes: int
    asked: int
    points: list[SoakPoint]  # the first one after a thousand requests


@dataclass
class Results:
    """Everything that one run found."""

    created: str
    profile: dict[str, Any]
    machine: dict[str, str | int]
    subjects: list[SubjectFacts] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    startups: list[Startup] = field(default_factory=list)
    imports: dict[str, list[float]] = field(default_factory=dict)
    idle: list[Idle] = field(default_factory=list)
    full_batches: list[FullBatch] = field(default_factory=list)
    soaks: list[Soak] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    load_after: str = ""

    def write(self, path: Path) -> None:
        """Write all as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = data.pop("schema", None)
        if schema != _SCHEMA:
            raise ValueError(f"{path} has schema {schema}; this version reads {_SCHEMA}")
        data["subjects"] = [SubjectFacts(**item) for item in data["subjects"]]
        data["samples"] = [Sample(**item) for item in data["samples"]]
        data["startups"] = [Startup(**item) for item in data["startups"]]
        data["idle"] = [Idle(**item) for item in data["idle"]]
        data["full_batches"] = [FullBatch(**item) for item in data["full_batches"]]
        data["soaks"] = [
            Soak(**{**item, "points": [SoakPoint(**point) for point in item["points"]]})
            for item in data["soaks"]
        ]
        return cls(**data)

    def add(self, later: Results) -> None:
        """Add another run of the same subjects; its rounds count on, so that ratios stay within theirs."""
        known = {facts.name for facts in self.subjects}
        first = 1 + max((sample.round for sample in self.samples), default=-1)
        self.subjects += [facts for facts in later.subjects if facts.name not in known]
        self.samples += [replace(sample, round=first + sample.round) for sample in later.samples]
        self.startups += later.startups
        for subject, seconds in later.imports.items():
            self.imports[subject] = self.imports.get(subject, []) + seconds
        self.idle += later.idle
        self.full_batches += later.full_batches
        self.soaks += later.soaks
        self.problems += later.problems

    def per_round(self, load: str, subject: str, quantity: str) -> dict[int, float]:
        """Return one quantity of the samples of a subject under a load, by round."""
        found = {}
        for sample in self.samples:
            value = getattr(sample, quantity)
            if (sample.load, sample.subject) == (load, subject) and value is not None:
                found[sample.round] = float(value)
        return found
