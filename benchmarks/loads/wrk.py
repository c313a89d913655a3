# SPDX-License-Identifier: Apache-2.0
"""HTTP load by wrk."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.loads.load import Load, Measured
from benchmarks.running import Running
from benchmarks.unavailable import Unavailable

__all__ = ["Wrk", "parse_wrk"]

_SCRIPT = Path(__file__).with_name("post.lua")


class Wrk:
    """wrk with one thread: it never needs more than a fraction of a core for these rates."""

    def __init__(self) -> None:
        found = shutil.which("wrk")
        if found is None:
            raise Unavailable("wrk is not installed (Debian: apt install wrk)")
        self._program = found

    def run(self, load: Load, running: Running, seconds: int, directory: Path) -> Measured:
        """Send the load to one server."""
        body = directory / f"{running.subject.name}.json"
        body.write_bytes(running.subject.request_body())
        url = f"http://127.0.0.1:{running.endpoints.http}{running.subject.infer_path}"
        command = [self._program, "-t1", f"-c{load.concurrency}", f"-d{seconds}s", "--timeout", "20s"]
        command += ["-s", str(_SCRIPT), url, "--", str(body)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"wrk failed: {(result.stderr or result.stdout).strip()[-500:]}")
        return parse_wrk(result.stdout)


def parse_wrk(output: str) -> Measured:
    """Read what `post.lua` printed."""
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    found = json.loads(line.removeprefix("RESULT "))
    return Measured(
        requests=found["requests"],
        rate=found["requests"] / (found["duration_us"] / 1e6),
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        mean_us=found["mean_us"],
        failed=found["failed"],
    )
