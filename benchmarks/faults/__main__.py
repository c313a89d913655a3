# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.faults [run]` and `python -m benchmarks.faults page RESULTS.json`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from benchmarks.cache import Cache
from benchmarks.faults.contestants import CONTESTANTS
from benchmarks.faults.faults import FAULTS
from benchmarks.faults.found import Found
from benchmarks.faults.page import page
from benchmarks.faults.session import Session
from benchmarks.workbench import HERE, Workbench

__all__: list[str] = []

_PAGE: Final = HERE.parent / "docs" / "faults.md"


def _main() -> int:
    given = sys.argv[1:]
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "run")
    options = _parser().parse_args(given)
    code: int = options.command(options)
    return code


def _run(options: argparse.Namespace) -> int:
    bench = Workbench(Cache(options.cache.resolve()), options.python, options.peer_python)
    subjects = [kind for kind in CONTESTANTS if _chosen(kind.name, options.subjects)]
    faults = [fault for fault in FAULTS if _chosen(fault.name, options.faults)]
    output: Path = options.output or HERE / "results" / time.strftime("faults-%Y-%m-%d-%H%M%S.json")
    # A shell that runs this in the background has SIGINT ignored, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        session = Session(bench, subjects, Path(directory), options.rounds, _say)
        try:
            session.run(faults)
        finally:
            session.found.write(output)
    for problem in session.found.problems:
        _say(f"problem: {problem}")
    print(f"written: {output}")
    return 0


def _write_page(options: argparse.Namespace) -> int:
    found, *others = (Found.read(each) for each in options.results)
    for other in others:
        found.add(other)
    options.output.write_text(page(found), encoding="utf-8")
    print(f"written: {options.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="give the faults and write one JSON file")
    run.set_defaults(command=_run)
    run.add_argument("--rounds", type=int, default=3)
    run.add_argument("--subjects", default="*", help="names or patterns, separated by commas")
    run.add_argument("--faults", default="*", help="names or patterns, separated by commas")
    run.add_argument("--output", type=Path)
    run.add_argument("--python", type=Path, default=Path(sys.executable), help="where this package is")
    run.add_argument("--peer-python", type=Path, help="for the peers' environments")
    run.add_argument("--cache", type=Path, default=HERE / ".cache", help="downloads and environments")
    written = commands.add_parser("page", help="write docs/faults.md")
    written.set_defaults(command=_write_page)
    written.add_argument("results", type=Path, nargs="+", help="of one run, or of several that make up one")
    written.add_argument("--output", type=Path, default=_PAGE)
    return parser


def _chosen(name: str, patterns: str) -> bool:
    return any(fnmatch(name, pattern.strip()) for pattern in patterns.split(","))


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(_main())
