# SPDX-License-Identifier: Apache-2.0
"""Cells of the tables: several rounds in few words."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["counted", "number", "outcomes", "quoted", "seconds", "several", "table"]

_WORDS = 90


def number(values: Iterable[float], form: str = "g", unit: str = "") -> str:
    """The median, and the lowest and highest where the rounds differ."""
    known = sorted(values)
    if not known:
        return ""
    middle, low, high = (
        format(each, form) + unit for each in (statistics.median(known), known[0], known[-1])
    )
    return middle if low == high else f"{middle} ({low} … {high})"


def seconds(values: Sequence[float | None], never: str) -> str:
    """Seconds, and in how many of the rounds it never came to that."""
    known = [value for value in values if value is not None]
    if not known:
        return never
    missing = len(values) - len(known)
    return number(known, ".2f", " s") + (f"; {never} in {missing} of {len(values)}" if missing else "")


def several(values: Sequence[str]) -> str:
    """What all rounds agree on, or each with its number of rounds, the most frequent first."""
    found = Counter(values)
    if len(found) == 1:
        return values[0]
    return "; ".join(f"{value} ({count} of {len(values)})" for value, count in found.most_common())


def outcomes(rounds: Sequence[Mapping[str, int]], nothing: str = "none") -> str:
    """How many of each kind, by medians."""
    kinds = sorted({kind for each in rounds for kind in each})
    found = [f"{number([each.get(kind, 0) for each in rounds], '.0f')} {kind}" for kind in kinds]
    return ", ".join(found) or nothing


def counted(names: Iterable[str]) -> str:
    """Names with how often each comes."""
    found = Counter(names)
    return ", ".join(f"{count}x {name}" for name, count in sorted(found.items())) or "nothing"


def quoted(answer: str) -> str:
    """What an error says, its first and last lines if it has many."""
    try:
        decoded = json.loads(answer)
        words = str(decoded.get("error") or decoded.get("detail") or answer)
    except (ValueError, AttributeError):
        words = answer
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    if not lines:
        return ""
    text = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"
    if len(text) > _WORDS:
        text = text[:_WORDS].rstrip() + " …"
    return "“" + text.replace("|", "\\|").replace("<", "&lt;") + "”"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
