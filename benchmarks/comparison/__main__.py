# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.comparison [--time [--wheel FILE] [--frameworks pytriton,fastapi]]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.comparison.counting import PROGRAMS, table
from benchmarks.comparison.timing import FRAMEWORKS, measure

__all__: list[str] = []


def _main() -> None:
    names = [framework.name for framework in FRAMEWORKS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", action="store_true", help="install, start and ask all programs, too")
    parser.add_argument("--frameworks", type=lambda text: text.split(","), default=names)
    parser.add_argument("--wheel", type=Path, help="of this package; otherwise it is built, and that timed")
    options = parser.parse_args()
    ours = [f"{options.wheel.resolve()}[cli]"] if options.wheel else []
    print(table())
    if not options.time:
        return
    print(f"\n{'seconds':12}" + "".join(f"{what:>16}" for what in ("install", *PROGRAMS, "all")))
    for framework in FRAMEWORKS:
        if framework.name in options.frameworks:
            timed = measure(framework, ours if framework.name == "pytriton" else ())
            cells = (timed.install_s, *timed.answers_s, timed.total_s)
            print(f"{framework.name:12}" + "".join(f"{cell:16.1f}" for cell in cells), flush=True)


if __name__ == "__main__":
    _main()
