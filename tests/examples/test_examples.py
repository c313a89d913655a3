# SPDX-License-Identifier: Apache-2.0
"""Every example runs as its README says: server, client, Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def in_the_background() -> None:
    """As a shell starts its jobs there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_example(name: str, start: Callable[[], object] | None = None) -> str:
    # A process of its own, as the examples are scripts that run when imported.
    result = subprocess.run(
        [sys.executable, "scripts/demo.py", f"examples/{name}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=start,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.mark.smoke
def test_linear_numpy() -> None:
    output = run_example("linear_numpy", in_the_background)
    assert "HTTP answered" in output
    assert "gRPC answered" in output
    assert "ended cleanly" in output


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_linear_pytorch() -> None:
    pytest.importorskip("torch")
    output = run_example("linear_pytorch")
    assert "tritonclient.http answered" in output
    assert "tritonclient.grpc answered" in output
    assert "ended cleanly" in output
