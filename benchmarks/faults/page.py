# SPDX-License-Identifier: Apache-2.0
"""The page on faults in the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from benchmarks.faults.cells import counted, number, outcomes, quoted, seconds, several, table
from benchmarks.faults.found import Found
from benchmarks.faults.sections import BESIDE, DEPARTURES, INTRODUCTION, MALFORMED, SECTIONS

__all__ = ["page"]

_Rounds = Sequence[dict[str, Any]]
_Row = Callable[[_Rounds], list[str]]

_NAMES: Final = {"triton_python_b": "stub of the Python backend", "python3": "python"}


def page(found: Found) -> str:
    """Return the page."""
    parts = [INTRODUCTION, _facts(found)]
    for section in SECTIONS:
        if rows := _rows(found, section.fault, _ROWS[section.fault], len(section.head)):
            parts.append(f"## {section.title}\n\n{section.note}\n\n{table(['', *section.head], rows)}")
    if found.problems:
        told = Counter(problem.partition(";")[0] for problem in found.problems)
        lines = [f"- {_one_line(problem)} ({count}x)" for problem, count in sorted(told.items())]
        parts.append(f"## Beside the faults\n\n{BESIDE}\n\n" + "\n".join(lines))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _rows(found: Found, fault: str, row: _Row, columns: int) -> list[list[str]]:
    rows = []
    for subject in found.subjects:
        observations = found.of(fault, subject.name)
        if not observations:
            continue
        reasons = [each.not_given for each in observations if each.not_given]
        if reasons:
            rows.append([subject.title, f"cannot be given: {reasons[0]}", *[""] * (columns - 1)])
        else:
            rows.append([subject.title, *row([each.facts for each in observations])])
    return rows


def _killed(rounds: _Rounds) -> list[str]:
    words = sorted({quoted(each) for facts in rounds for each in facts["words"]})
    again = [facts["again_s"] if facts["well"] else None for facts in rounds]
    pauses = [facts["pause_s"] if _answers_came(facts) else None for facts in rounds]
    return [
        outcomes([facts["failed"] for facts in rounds]),
        words[0] if words else "",
        number([facts["hung"] for facts in rounds], ".0f"),
        seconds(pauses, "no answers any more"),
        seconds(again, "not within 20 s") + _ends(rounds),
    ]


def _answers_came(facts: dict[str, Any]) -> bool:
    # Without hangs and refusals, what fails until the end is only a part of the requests.
    return bool(
        facts["well"] or (facts["first_s"] is not None and not facts["hung"] and not facts["refused"])
    )


def _ends(rounds: _Rounds) -> str:
    codes = [
        f"ended with {facts['exit_code']}"
        + ("" if facts["all_gone"] else ", its other processes did not end")
        for facts in rounds
        if facts["exit_code"] is not None and not facts["was_first"]
    ]
    if not codes:
        return ""
    told = f"; the application {several(codes)}"
    return told if len(codes) == len(rounds) else f"{told} in {len(codes)} of {len(rounds)}"


def _orphaned(rounds: _Rounds) -> list[str]:
    return [
        seconds([facts["gone_s"] for facts in rounds], "not within 40 s"),
        several([counted(map(_process, facts["after_5_s"])) for facts in rounds]),
        several(
            [counted(f"`{each.rpartition('/')[2]}`" for each in facts["shared_memory"]) for facts in rounds]
        ),
        several([counted(map(_file, facts["temporary"])) for facts in rounds]),
        number([facts["own_files"] for facts in rounds], ".0f"),
        several([", ".join(facts["listening"]) or "none" for facts in rounds]),
    ]


def _file(path: str) -> str:
    return f"`{path.removeprefix('/dev/shm/').removeprefix('/tmp/')}`"


def _process(name: str) -> str:
    return _NAMES.get(name, name)


def _raised(rounds: _Rounds) -> list[str]:
    cells = []
    for way in ("raised", "alone"):
        told = [facts[way] for facts in rounds if way in facts]
        if not told:
            cells += ["no way", ""]
            continue
        how = f"{rounds[0]['how']}: " if way == "alone" else ""
        cells.append(how + several([f"{each['caller']} {quoted(each['words'])}" for each in told]))
        cells.append(several([_same(each["others"]) for each in told]))
    return cells


def _same(others: Sequence[str]) -> str:
    return f"all {others[0]}" if len(set(others)) == 1 else counted(others)


def _left(rounds: _Rounds) -> list[str]:
    cells = []
    for key in DEPARTURES:
        seen = [facts[key] for facts in rounds if key in facts]
        if not seen:
            cells.append("no gRPC")
            continue
        told = several([_seen(each) for each in seen])
        cells.append(f"{number([each['busy_s'] for each in seen], '.2f', ' s')}; {told}")
    return cells


def _seen(facts: dict[str, Any]) -> str:
    if not facts.get("computed", True):
        return "dropped"
    return "seen by the function" if facts["saw"] else "computed to the end"


def _ended(rounds: _Rounds) -> list[str]:
    flying = [{"answered": facts["answered"], **facts["lost"]} for facts in rounds]
    later = [
        _without_zeros(
            {
                "answered": facts["later_answered"],
                "connection refused": facts["later_refused"],
                "hung": facts["later_hung"],
                **facts["later_failed"],
            }
        )
        for facts in rounds
    ]
    alive = several([counted(map(_process, facts["left"])) for facts in rounds])
    return [
        several(["none" if facts["exit_code"] is None else str(facts["exit_code"]) for facts in rounds]),
        seconds([facts["ended_s"] for facts in rounds], "not within 40 s"),
        seconds([facts["all_ended_s"] for facts in rounds], "not within 40 s")
        + ("" if alive == "nothing" else f"; left: {alive}"),
        outcomes(flying),
        outcomes(later),
    ]


def _without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _refused(rounds: _Rounds) -> list[str]:
    cells = []
    for key in MALFORMED:
        seen = [facts[key] for facts in rounds if key in facts]
        if not seen:
            cells.append("")
            continue
        cell = several([each["status"] for each in seen])
        if any(each["others_failed"] for each in seen):
            cell += f"; {number([each['others_failed'] for each in seen], '.0f')} of others failed"
        if not all(each["serves_after"] for each in seen):
            cell += "; others were not answered afterwards"
        cells.append(cell)
    return cells


def _facts(found: Found) -> str:
    versions = "; ".join(
        f"{subject.title}: " + ", ".join(f"{name} {version}" for name, version in subject.versions.items())
        if subject.unavailable is None
        else f"{subject.title}: left out, {_one_line(subject.unavailable)}"
        for subject in found.subjects
    )
    cores = found.machine.get("cores", "?")
    return (
        f"Seen on {found.created[:10]} in {found.rounds} rounds, on a machine of {cores} cores that had "
        f"other work, too. {versions}."
    )


_ROWS: Final[dict[str, _Row]] = {
    "worker": _killed,
    "server": _killed,
    "application": _orphaned,
    "application_at_rest": _orphaned,
    "exception": _raised,
    "departure": _left,
    "sigterm": _ended,
    "sigterm_at_rest": _ended,
    "sigint": _ended,
    "malformed": _refused,
}


def _one_line(text: str) -> str:
    return text.splitlines()[0]
