# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.cache import Cache
from benchmarks.loads import LOADS
from benchmarks.profiles import FULL, QUICK
from benchmarks.report.page import page
from benchmarks.report.picture import draw, draw_ratios
from benchmarks.report.table import markdown, targets_table
from benchmarks.results import Results
from benchmarks.session import Session
from benchmarks.subjects import SUBJECTS
from benchmarks.unavailable import Unavailable
from benchmarks.workbench import HERE, Workbench

__all__ = ["main"]

_STAGES = ("lifecycle", "copies", "loads")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, `run` where none is named, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "run")
    options = _parser().parse_args(given)
    try:
        code: int = options.command(options)
    except (Unavailable, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return code


def _run(options: argparse.Namespace) -> int:
    session = Session(
        _workbench(options),
        [kind for kind in SUBJECTS if _chosen(kind.name, options.subjects)],
        QUICK if options.quick else FULL,
        _say,
    )
    output: Path = options.output or HERE / "results" / time.strftime("%Y-%m-%d-%H%M%S.json")
    try:
        if "lifecycle" in options.stages:
            session.lifecycle()
        if "copies" in options.stages:
            session.copies()
        if "loads" in options.stages:
            session.loads([load for load in LOADS if _chosen(load.name, options.loads)])
        if options.soak:
            session.soak(options.soak, options.soak // 100)
    finally:
        session.close()
        session.results.write(output)
    print(targets_table(session.results))
    for problem in session.results.problems:
        _say(f"problem: {problem}")
    print(f"\nwritten: {output}")
    return 0


def _soak(options: argparse.Namespace) -> int:
    kinds = [kind for kind in SUBJECTS if _chosen(kind.name, options.subjects)]
    session = Session(_workbench(options), kinds, FULL, _say)
    output: Path = options.into or HERE / "results" / time.strftime("soak-%Y-%m-%d-%H%M%S.json")
    try:
        session.soak(options.small, options.large)
    finally:
        session.close()
        results = session.results
        if options.into and options.into.exists():
            results = Results.read(options.into)
            results.soaks += session.results.soaks
            results.problems += session.results.problems
        results.write(output)
    print(targets_table(results))
    print(f"\nwritten: {output}")
    return 0


def _report(options: argparse.Namespace) -> int:
    results = Results.read(options.results)
    base: Path = (options.directory or options.results.parent) / options.results.stem
    base.parent.mkdir(parents=True, exist_ok=True)
    table = base.with_suffix(".md")
    table.write_text(markdown(results), encoding="utf-8")
    print(f"written: {table}")
    try:
        draw(results, base.with_suffix(".png"), base.with_suffix(".svg"))
    except Unavailable as reason:
        _say(f"no picture: {reason}")
    else:
        print(f"written: {base.with_suffix('.png')}, {base.with_suffix('.svg')}")
    return 0


def _page(options: argparse.Namespace) -> int:
    results, *others = (Results.read(path) for path in options.results)
    for other in others:
        results.add(other)
    directory: Path = options.directory
    picture: str | None = "benchmarks.svg"
    try:
        draw_ratios(results, directory / "benchmarks.svg")
    except Unavailable as reason:
        _say(f"no picture: {reason}")
        picture = None
    (directory / "benchmarks.md").write_text(page(results, picture), encoding="utf-8")
    print(f"written: {directory / 'benchmarks.md'}")
    return 0


def _targets(options: argparse.Namespace) -> int:
    print(targets_table(Results.read(options.results)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Side-by-side benchmarks on loopback."
    )
    commands = parser.add_subparsers(required=True)
    run = _command(commands, "run", _run, "measure and write one JSON file")
    run.add_argument(
        "--quick", action="store_true", help="about two minutes, one round; without it 12 to 15 minutes"
    )
    run.add_argument("--loads", default="*", help="names or patterns, separated by commas")
    run.add_argument("--stages", default=",".join(_STAGES), type=_stages, help="default: %(default)s")
    run.add_argument(
        "--soak", type=int, default=0, metavar="N", help="also N small requests, N / 100 of 1 MB"
    )
    run.add_argument("--output", type=Path, help="the JSON file; default: benchmarks/results/<date>.json")
    soak = _command(commands, "soak", _soak, "send very many requests and watch the memory")
    soak.add_argument("--small", type=int, default=10_000_000, help="small requests (default %(default)s)")
    soak.add_argument("--large", type=int, default=100_000, help="requests of 1 MB (default %(default)s)")
    soak.add_argument("--into", type=Path, help="add to this JSON file of a run")
    for command, subjects in ((run, "*"), (soak, "pytriton")):
        command.add_argument("--subjects", default=subjects, help="names or patterns, separated by commas")
        command.add_argument(
            "--python", type=Path, default=Path(sys.executable), help="where this package is installed"
        )
        command.add_argument(
            "--peer-python", type=Path, help="for the peers' environments; needs venv and libpython"
        )
        command.add_argument("--cache", type=Path, default=HERE / ".cache", help="downloads and environments")
    report = _command(commands, "report", _report, "write a Markdown table and pictures beside a JSON file")
    report.add_argument("results", type=Path)
    report.add_argument("--directory", type=Path, help="write them here instead")
    kept = _command(commands, "page", _page, "write docs/benchmarks.md and its picture: ratios, to be kept")
    kept.add_argument("results", type=Path, nargs="+", help="of one run, or of several that make up one")
    kept.add_argument("--directory", type=Path, default=HERE.parent / "docs", help="default: %(default)s")
    _command(commands, "targets", _targets, "print what must be reached and what was").add_argument(
        "results", type=Path
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, function: object, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(command=function)
    return command


def _workbench(options: argparse.Namespace) -> Workbench:
    return Workbench(Cache(options.cache.resolve()), options.python, options.peer_python)


def _stages(given: str) -> list[str]:
    stages = given.split(",")
    if unknown := set(stages) - set(_STAGES):
        raise argparse.ArgumentTypeError(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(_STAGES)}")
    return stages


def _chosen(name: str, patterns: str) -> bool:
    return any(fnmatch(name, pattern.strip()) for pattern in patterns.split(","))


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
