# SPDX-License-Identifier: Apache-2.0
"""gRPC load by Triton's perf_analyzer."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

from benchmarks.cache import PERF_ANALYZER_WHEEL
from benchmarks.loads.load import STRING_LENGTH, Load, Measured
from benchmarks.running import Running
from benchmarks.unavailable import Unavailable
from benchmarks.workbench import Workbench

__all__ = ["PerfAnalyzer", "parse_perf_analyzer"]

_ASYNC_FROM = 32
_WINDOWS = 3  # it wants three windows before it calls a measurement stable


class PerfAnalyzer:
    """The binary of tritonclient's wheel, with the two libraries it misses taken from the server's wheel."""

    def __init__(self, bench: Workbench) -> None:
        wheel = bench.cache.unpacked(PERF_ANALYZER_WHEEL)
        self._program = next(wheel.rglob("perf_analyzer"))
        self._program.chmod(0o755)
        libraries = bench.cache.directory("perf_analyzer_libraries")
        for name, pattern in (("libcudart.so.12", "libcudart-*"), ("libb64.so.0d", "libb64-*")):
            link = libraries / name
            link.unlink(missing_ok=True)
            link.symlink_to(next((bench.server_files / "nvidia_pytriton.libs").glob(pattern)))
        self._environment = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
        result = subprocess.run(
            [self._program, "--version"],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if result.returncode != 0:
            raise Unavailable(f"perf_analyzer does not run: {result.stderr.strip()}")
        self.version = (result.stdout + result.stderr).strip().splitlines()[-1]

    def run(self, load: Load, running: Running, window_ms: int, directory: Path) -> Measured:
        """Send the load to one server."""
        report = directory / f"{running.subject.name}.csv"
        report.unlink(missing_ok=True)
        command = [
            str(self._program),
            "-m",
            load.model,
            "-i",
            "grpc",
            "-u",
            f"127.0.0.1:{running.endpoints.grpc}",
        ]
        command += ["--shape", f"INPUT_1:{load.elements}", "--concurrency-range", str(load.concurrency)]
        # Whichever costs the generator less at this concurrency, so that the servers decide the result.
        command += ["--async" if load.concurrency >= _ASYNC_FROM else "--sync"]
        # A stability limit that everything meets: rounds, not perf_analyzer, repeat the measurement.
        command += ["-p", str(window_ms), "-r", str(_WINDOWS), "-s", "999", "-f", str(report)]
        if load.model == "strings":
            command += ["--string-length", str(STRING_LENGTH)]
        if load.shared_memory:
            command += ["--shared-memory", "system", "--output-shared-memory-size", str(load.tensor_bytes)]
        result = subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60 + window_ms * _WINDOWS / 100,
            check=False,
        )
        if result.returncode != 0 or not report.is_file():
            raise RuntimeError(f"perf_analyzer failed: {(result.stderr or result.stdout).strip()[-500:]}")
        return parse_perf_analyzer(report.read_text(encoding="utf-8"), result.stdout)


def parse_perf_analyzer(report: str, output: str) -> Measured:
    """Read the CSV report and the number of requests from the output."""
    row = next(csv.DictReader(report.splitlines()))
    counts = [line.split(":")[1] for line in output.splitlines() if "Request count:" in line]
    mean = [line.split(":")[1].split()[0] for line in output.splitlines() if "Avg latency:" in line]
    return Measured(
        requests=int(counts[0]),
        rate=float(row["Inferences/Second"]),
        p50_us=float(row["p50 latency"]),
        p99_us=float(row["p99 latency"]),
        mean_us=float(mean[0]),
        failed=0,  # it gives up at the first failed request
    )
