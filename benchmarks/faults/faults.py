# SPDX-License-Identifier: Apache-2.0
"""The faults, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.faults.deaths import application_dies, application_dies_at_rest, server_dies, worker_dies
from benchmarks.faults.departures import client_leaves
from benchmarks.faults.exceptions import function_raises
from benchmarks.faults.malformed import malformed
from benchmarks.faults.server import Server
from benchmarks.faults.signals import interrupted, terminated, terminated_at_rest

__all__ = ["FAULTS", "Fault"]


@dataclass(frozen=True)
class Fault:
    """How it is given, and what comes back is what was seen."""

    name: str
    give: Callable[[Server], dict[str, Any]]
    variants: bool = False
    """Whether it is given to variants of a subject too, which are the same but for this fault."""


FAULTS: Final = (
    Fault("worker", worker_dies, variants=True),
    Fault("server", server_dies),
    Fault("application", application_dies),
    Fault("application_at_rest", application_dies_at_rest),
    Fault("exception", function_raises),
    Fault("departure", client_leaves),
    Fault("sigterm", terminated),
    Fault("sigterm_at_rest", terminated_at_rest),
    Fault("sigint", interrupted),
    Fault("malformed", malformed),
)
