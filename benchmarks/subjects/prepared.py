# SPDX-License-Identifier: Apache-2.0
"""What it takes to serve with a subject, or why that cannot be had."""

from __future__ import annotations

from benchmarks.results import SubjectFacts
from benchmarks.subjects.subject import Subject
from benchmarks.unavailable import Unavailable

__all__ = ["prepared"]


def prepared(subject: Subject) -> SubjectFacts:
    """Prepare a subject; whatever is missing is told, so that the others go on."""
    try:
        subject.prepare()
    except Exception as error:
        reason = str(error) if isinstance(error, Unavailable) else f"{type(error).__name__}: {error}"
        return SubjectFacts(subject.name, subject.title, {}, reason)
    return SubjectFacts(subject.name, subject.title, subject.versions)
