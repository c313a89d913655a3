# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmarks that read what others print, and /proc."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

# At the end: an installed package wins over the checkout that the benchmarks lie in.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import process_tree
from benchmarks.cli import main
from benchmarks.interpreter import reference_interpreter
from benchmarks.loads import LOADS
from benchmarks.loads.perf_analyzer import parse_perf_analyzer
from benchmarks.loads.wrk import parse_wrk
from benchmarks.ports import free_ports
from benchmarks.subjects import SUBJECTS
from benchmarks.unavailable import Unavailable

_WRK = """Running 1s test @ http://127.0.0.1:1/x
RESULT {"requests": 500, "duration_us": 2000000, "failed": 3, "p50_us": 10, "p99_us": 20, "mean_us": 11.5}
"""
_CSV = (
    "Concurrency,Inferences/Second,Client Send,p50 latency,p90 latency,p95 latency,p99 latency\n"
    "8,1234.5,1,640,700,800,900\n"
)
_PERF_ANALYZER = """  Client:
    Request count: 750
    Throughput: 1234.5 infer/sec
    Avg latency: 651 usec (standard deviation 5 usec)
  Server:
    Request count: 760
"""


def test_wrk_output() -> None:
    found = parse_wrk(_WRK)
    assert (found.requests, found.rate, found.failed) == (500, 250.0, 3)
    assert (found.p50_us, found.p99_us, found.mean_us) == (10, 20, 11.5)


def test_perf_analyzer_output() -> None:
    found = parse_perf_analyzer(_CSV, _PERF_ANALYZER)
    assert (found.requests, found.rate) == (750, 1234.5)
    assert (found.p50_us, found.p99_us, found.mean_us) == (640, 900, 651)


def test_ports_are_free_and_differ() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_descendants_include_grandchildren_and_no_zombies() -> None:
    script = "import subprocess, sys; subprocess.run(['cat'], stdin=sys.stdin)"
    child = subprocess.Popen([sys.executable, "-c", script + "; input()"], stdin=subprocess.PIPE)
    try:
        while len(process_tree.descendants(child.pid)) < 2:
            assert child.poll() is None
        found = process_tree.descendants(child.pid)
        assert found[0] == child.pid
        names = [usage.name for pid in found if (usage := process_tree.usage(pid))]
        assert "cat" in names
    finally:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not process_tree.alive(child.pid)
        child.communicate()


def test_usage_of_this_process() -> None:
    usage = process_tree.usage(os.getpid())
    assert usage is not None
    assert 0 < usage.pss_bytes <= usage.rss_bytes
    assert process_tree.cpu_seconds([os.getpid()]) > 0


def test_channel_bytes_counts_memory_files_alone() -> None:
    before = process_tree.channel_bytes(os.getpid())
    descriptor = os.memfd_create("test")
    os.truncate(descriptor, 1 << 20)
    with mmap.mmap(descriptor, 1 << 20) as mapping:
        mapping[:] = b"x" * (1 << 20)
        assert process_tree.channel_bytes(os.getpid()) - before == 1 << 20
    os.close(descriptor)


def test_gone_process_has_no_usage() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert process_tree.usage(child.pid) is None
    assert process_tree.cpu_seconds([child.pid]) == 0


def test_unusable_interpreter_is_unavailable(tmp_path: Path) -> None:
    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\necho no libpython >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(Unavailable, match="no libpython"):
        reference_interpreter(program)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "not a program"])
def test_silent_interpreter_is_unavailable(tmp_path: Path, text: str) -> None:
    program = tmp_path / "python3"
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(Unavailable, match="python3: "):
        reference_interpreter(program)


def test_names_are_unique() -> None:
    assert len({load.name for load in LOADS}) == len(LOADS)
    assert len({subject.name for subject in SUBJECTS}) == len(SUBJECTS)


def test_unknown_stage_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--stages", "loads,soup"])
    assert "unknown soup" in capsys.readouterr().err


def test_report_on_no_file_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["report", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
