# SPDX-License-Identifier: Apache-2.0
"""The verdict, the tables and the JSON of the benchmarks, from made-up numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# At the end: an installed package wins over the checkout that the benchmarks lie in.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.medians import difference_per_round, ratio_per_round, spread
from benchmarks.report.page import page
from benchmarks.report.table import markdown
from benchmarks.report.targets import Target, evaluate
from benchmarks.results import (
    FullBatch,
    Idle,
    Results,
    Sample,
    Soak,
    SoakPoint,
    Startup,
    SubjectFacts,
)


def make_sample(load: str, subject: str, number: int, rate: float, p50_us: float = 100.0) -> Sample:
    return Sample(load, subject, number, 1000, rate, p50_us, 2 * p50_us, p50_us, 0, 0.1, 0.05, 4.0)


def make_idle(subject: str, others: int, channel: int) -> Idle:
    return Idle(subject, 60_000_000, others, channel, [{"name": "x", "pss_bytes": 1, "rss_bytes": 2}], 0.5)


@pytest.fixture
def results() -> Results:
    found = Results("2030-01-01 00:00:00", {"name": "quick"}, {"cores": 2})
    found.subjects = [
        SubjectFacts("pytriton", "PyTriton (this package)", {"python": "3.12"}),
        SubjectFacts("noop", "no-op", {}),
        SubjectFacts("litserve", "LitServe", {}, "not to be had | here"),
    ]
    for number, (ours, limit) in enumerate([(95.0, 100.0), (180.0, 200.0), (92.0, 100.0)]):
        found.samples.append(make_sample("http-4-c32", "pytriton", number, ours))
        found.samples.append(make_sample("http-4-c32", "noop", number, limit))
        found.samples.append(make_sample("http-4-c1", "pytriton", number, ours, 260.0))
        found.samples.append(make_sample("http-4-c1", "noop", number, limit, 180.0))
    found.startups = [Startup("pytriton", 0, 0.6, 0.2, 0.4, 0.3, 0.5, 0)]
    found.imports = {"pytriton": [0.1, 0.2, 0.15]}
    found.idle = [make_idle("pytriton", 40_000_000, 1_000_000), make_idle("pytriton_0_7", 110_000_000, 0)]
    found.full_batches = [FullBatch(128, 16, 1.0, 2.0), FullBatch(128, 100_000, 1.0, 2.5)]
    found.soaks = [Soak("pytriton", "small", 16, 2000, [SoakPoint(1000, 100, 90), SoakPoint(2000, 101, 91)])]
    return found


def find(results: Results, beginning: str) -> Target:
    return next(target for target in evaluate(results) if target.what.startswith(beginning))


def test_ratio_is_formed_within_a_round() -> None:
    found = ratio_per_round({0: 90.0, 1: 50.0, 2: 1.0}, {0: 100.0, 1: 50.0})
    assert found is not None
    assert (found.low, found.median, found.high, found.count) == (0.9, 0.95, 1.0, 2)


def test_difference_is_formed_within_a_round() -> None:
    found = difference_per_round({0: 5.0, 1: 9.0}, {0: 3.0, 1: 8.0})
    assert found is not None
    assert found.median == 1.5


def test_spread_of_nothing_is_none() -> None:
    assert spread([]) is None


@pytest.mark.parametrize(
    ("beginning", "measured", "met"),
    [
        ("http-4-c32: requests/s against the no-op", "0.92 x (0.90 … 0.95)", True),
        ("http-4-c128: requests/s against the no-op", "not measured", None),
        ("http-4-c1: median latency", "80 µs (80 … 80)", False),
        ("@batch on a full dynamic batch: copies in", "1.00 (1.00 … 1.00)", True),
        ("@batch on a full dynamic batch: copies out", "2.50 (2.00 … 2.50)", False),
        ("Triton() to first", "0.40 s", True),
        ("import", "0.15 s (0.10 … 0.20)", True),
        ("idle memory", "41.0 MB", True),
        ("resident memory after 100,000", "not measured", None),
    ],
)
def test_target(results: Results, beginning: str, measured: str, met: bool | None) -> None:
    target = find(results, beginning)
    assert (target.measured, target.met) == (measured, met)


def test_what_the_limit_reaches_against_a_peer(results: Results) -> None:
    results.samples.append(make_sample("http-4-c32", "python_backend", 0, 50.0))
    target = find(results, "http-4-c32: requests/s against Triton's Python backend")
    assert (target.measured, target.met) == ("1.90 x; the no-op: 2.00 x", True)


def test_short_soak_cannot_show_that_there_is_no_leak(results: Results) -> None:
    assert find(results, "resident memory after 10,000,000").met is None


def test_short_soak_can_show_a_leak(results: Results) -> None:
    results.soaks = [Soak("pytriton", "small", 16, 2000, [SoakPoint(1000, 100, 9), SoakPoint(2000, 110, 9)])]
    assert find(results, "resident memory after 10,000,000").met is False


def test_json_keeps_everything(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    results.write(path)
    assert Results.read(path) == results


def test_other_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schema": 0}', encoding="utf-8")
    with pytest.raises(ValueError, match="has schema 0"):
        Results.read(path)


def test_markdown_shows_numbers_and_reasons(results: Results) -> None:
    text = markdown(results)
    assert "| HTTP JSON, 4 floats, c=32 | 95 (92 … 180) | 100 (100 … 200) |" in text
    assert "not to be had \\| here" in text
    assert "## Problems" not in text


def test_the_page_has_ratios_and_says_on_what_they_were_measured(results: Results) -> None:
    text = page(results, "picture.svg")
    assert "| load | no-op |" in text
    assert "| HTTP JSON, 4 floats, c=32 | 0.92 (0.90 … 0.95) |" in text
    assert "on a machine of 2 cores" in text
    assert "](picture.svg)" in text
    assert "180" not in text.split("## CPU")[0]


def test_runs_that_make_up_one_keep_their_rounds_apart(results: Results) -> None:
    later = Results("2030-01-02 00:00:00", {}, {}, [SubjectFacts("noop", "no-op", {})])
    later.samples = [make_sample("http-4-c32", name, 0, 50.0) for name in ("pytriton", "noop")]
    results.add(later)
    assert [facts.name for facts in results.subjects] == ["pytriton", "noop", "litserve"]
    assert find(results, "http-4-c32: requests/s against the no-op").measured == "0.94 x (0.90 … 1.00)"


def test_markdown_of_a_run_that_found_nothing() -> None:
    assert "Requests per second" not in markdown(Results("now", {}, {}, problems=["all of it"]))
