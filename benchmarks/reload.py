# SPDX-License-Identifier: Apache-2.0
"""How soon `serve --reload` answers with the code of a file: `python -m benchmarks.reload [edits]`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.medians import spread
from benchmarks.ports import free_ports

EDITS: Final = 5
_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.01
# A constructor that takes its time stands for a model whose weights are loaded.
_SERVICE: Final = """
import time
from pytriton.app import App

app = App()


@app.model
class Number:
    def __init__(self) -> None:
        time.sleep({load_s})

    def __call__(self, x: int) -> int:
        return x + {number}
"""


def measure(load_s: float, edits: int) -> list[float]:
    """Seconds from each edit to the first answer of the new code.

    Args:
        load_s: How long the model takes to load.
        edits: How many edits.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "service.py")
        _write(file, load_s, 0)
        ports = free_ports(3)
        names = ("http", "grpc", "metrics")
        options = [f"--{name}-port={port}" for name, port in zip(names, ports, strict=True)]
        command = [sys.executable, "-m", "pytriton", "serve", "service:app", "--reload", *options]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=directory, stdout=quiet, stderr=quiet) as server:
            try:
                _wait_for(ports[0], 0)
                seconds = []
                for number in range(1, edits + 1):
                    time.sleep(2.0)  # nobody edits sooner; the spare process is warm by then
                    _write(file, load_s, number)
                    begin = time.monotonic()
                    _wait_for(ports[0], number)
                    seconds.append(time.monotonic() - begin)
                return seconds
            finally:
                server.send_signal(signal.SIGTERM)


def _write(file: Path, load_s: float, number: int) -> None:
    file.write_text(_SERVICE.format(load_s=load_s, number=number), encoding="utf-8")


def _wait_for(port: int, number: int) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            url = f"http://127.0.0.1:{port}/v2/models/Number/generate"
            with urllib.request.urlopen(url, b'{"x": 0}', timeout=_TIMEOUT_S) as answer:
                if json.load(answer)["output"] == number:
                    return
        except OSError:  # between the two servers
            pass
        time.sleep(_POLL_S)
    raise RuntimeError("the new code has not answered in time")


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    edits = int(arguments[0]) if arguments else EDITS
    for load_s in (0.0, 1.0):
        found = spread(measure(load_s, edits))
        assert found is not None
        print(
            f"a model that loads for {load_s:g} s: {found.median:.2f} s "
            f"({found.low:.2f} to {found.high:.2f}, {found.count} edits)"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
