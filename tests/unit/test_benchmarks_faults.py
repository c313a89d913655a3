# SPDX-License-Identifier: Apache-2.0
"""The parts of `python -m benchmarks.faults` that only count and write."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# At the end: an installed package wins over the checkout that the benchmarks lie in.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import process_tree
from benchmarks.faults.asking import CUT, HUNG, OK, REFUSED, Ask, aftermath
from benchmarks.faults.cells import counted, number, outcomes, quoted, seconds, several
from benchmarks.faults.found import Found, Observation
from benchmarks.faults.page import page
from benchmarks.faults.signals import outcomes as outcomes_of_end
from benchmarks.results import SubjectFacts


def test_an_aftermath_begins_with_what_was_under_way() -> None:
    asks = [
        Ask(0.0, 0.9, "status 500", words="before the fault"),
        Ask(0.9, 1.1, CUT),
        Ask(1.0, 1.2, "status 503", words="gone"),
        Ask(1.1, 1.15, OK),
        Ask(1.3, 1.5, OK),
        Ask(1.5, 1.6, OK),
    ]
    found = aftermath(asks, 1.0)
    assert (found.failed, found.hung, found.refused) == ({CUT: 1, "status 503": 1}, 0, 0)
    assert found.words == ["gone"]
    assert found.first_s is not None
    assert found.again_s is not None
    assert found.pause_s is not None
    assert round(found.first_s, 2) == 0.15
    assert round(found.again_s, 2) == 0.15
    assert round(found.pause_s, 2) == 0.35


def test_an_aftermath_without_answers_has_no_times() -> None:
    found = aftermath([Ask(0.9, 11.0, HUNG), Ask(1.1, 1.2, REFUSED)], 1.0)
    assert (found.failed, found.hung, found.refused) == ({}, 1, 1)
    assert found.first_s is None
    assert found.again_s is None
    assert found.pause_s is None


def test_requests_on_their_way_are_told_from_later_ones() -> None:
    asks = [
        Ask(0.0, 0.5, OK),
        Ask(0.5, 1.5, OK),
        Ask(0.6, 1.1, CUT),
        Ask(1.2, 1.3, REFUSED),
        Ask(1.2, 1.3, CUT),
    ]
    assert outcomes_of_end(asks, 1.0) == {
        "in_flight": 2,
        "answered": 1,
        "lost": {CUT: 1},
        "later_refused": 1,
        "later_hung": 0,
        "later_answered": 0,
        "later_failed": {CUT: 1},
    }


def test_cells_say_what_rounds_have_in_common() -> None:
    assert number([3.0, 1.0, 2.0], ".0f", " s") == "2 s (1 s … 3 s)"
    assert number([2.0, 2.0]) == "2"
    assert seconds([None, None], "never") == "never"
    assert seconds([0.5, None, 0.5], "never") == "0.50 s; never in 1 of 3"
    assert several(["a", "b", "a"]) == "a (2 of 3); b (1 of 3)"
    assert outcomes([{"status 503": 2}, {}]) == "1 (0 … 2) status 503"
    assert outcomes([{}, {}]) == "none"
    assert counted(["b", "a", "b"]) == "1x a, 2x b"


def test_errors_are_quoted_by_their_words() -> None:
    assert quoted('{"error": "first\\nsecond\\nthird"}') == "“first … third”"
    assert quoted('{"detail": "a | b"}') == "“a \\| b”"
    assert quoted("not JSON") == "“not JSON”"
    assert quoted("") == ""


def test_results_come_back_and_make_a_page(tmp_path: Path) -> None:
    killed = {
        "killed": "python",
        "was_first": False,
        "well": True,
        "exit_code": None,
        "all_gone": False,
        "failed": {"status 503": 2},
        "hung": 0,
        "refused": 0,
        "words": ['{"error":"went away"}'],
        "first_s": 0.1,
        "again_s": 0.2,
        "pause_s": 0.3,
    }
    subjects = [SubjectFacts("pytriton", "Ours", {"pytriton": "1"}), SubjectFacts("other", "Other", {})]
    found = Found("2030-01-01 00:00:00", 1, {"cores": 2}, subjects)
    found.observations = [
        Observation("worker", "pytriton", 0, killed),
        Observation("worker", "other", 0, {}, "there is no such process"),
    ]
    path = tmp_path / "found.json"
    found.write(path)
    assert Found.read(path) == found
    text = page(Found.read(path))
    assert "| Ours | 2 status 503 | “went away” | 0 | 0.30 s | 0.20 s |" in text
    assert "| Other | cannot be given: there is no such process |" in text
    assert "SIGTERM under load" not in text


def test_a_later_run_takes_the_place_of_what_it_has_seen_again() -> None:
    first, later = Found("2030", 1, {}), Found("2031", 1, {})
    first.observations = [Observation("worker", "a", 0, {"n": 1}), Observation("worker", "b", 0, {"n": 2})]
    later.observations = [Observation("worker", "a", 0, {"n": 3})]
    first.problems = ["worker on a, round 1: it broke", "worker on b, round 1: it broke"]
    first.add(later)
    assert first.problems == ["worker on b, round 1: it broke"]
    assert [each.facts["n"] for each in first.observations] == [2, 3]


def test_a_process_is_known_by_when_it_was_started() -> None:
    assert process_tree.started(os.getpid()) is not None
    assert process_tree.started(-1) is None
    assert os.getpid() in process_tree.session(os.getsid(0))
