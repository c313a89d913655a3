# SPDX-License-Identifier: Apache-2.0
"""How a program that serves comes to its end: it is told to, it is done, or it is careless."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers.program import started
from tests.helpers.vectors import Pending, answer, outputs

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_serving(number: signal.Signals, tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        assert answer(program.address, "double", 1, 2) == [2, 4]
        program.signal(number)
        program.expect(f"log {number.name} received, stopping.")
        program.expect("served False")
        assert program.wait() == 0
        assert program.left_behind() == []


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_a_request_is_in_work(number: signal.Signals, tmp_path: Path) -> None:
    with started("serves", tmp_path) as program:
        pending = Pending(program.address, "gated", 1, 2)
        program.expect("working")
        program.signal(number)
        program.expect(f"log {number.name} received")
        program.go_on()
        assert outputs(pending.reply()) == [1, 2]
        assert program.wait() == 0
        assert program.left_behind() == []


@pytest.mark.parametrize("number", SIGNALS)
def test_second_signal_does_not_wait(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with started("serves", tmp_path) as program:
        pending = Pending(program.address, "gated", 1)
        program.expect("working")
        program.signal(signal.SIGINT)
        while program.address.get("/v2/models/gated/ready").status == 200:
            pass
        with pytest.raises(subprocess.TimeoutExpired):  # longer than signals count as one
            program.wait(0.3)
        program.signal(number)
        with pytest.raises(ConnectionError):
            pending.reply()
        program.expect(f"log {number.name} received while stopping: ")
        assert program.wait(4.0) == 128 + number
        assert program.left_behind(2.0) == []
    assert "Traceback" not in capfd.readouterr().err


def test_signals_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with started("serves", tmp_path) as program:
        pending = Pending(program.address, "gated", 1, 2)
        program.expect("working")
        for number in SIGNALS:
            program.signal(number)
        program.expect("log SIGINT received")
        program.go_on()
        assert outputs(pending.reply()) == [1, 2]
        assert program.wait() == 0
        assert program.left_behind(2.0) == []
    assert "Traceback" not in capfd.readouterr().err


def test_stop_of_a_serving_thread(tmp_path: Path) -> None:
    with started("serves_in_a_thread", tmp_path) as program:
        program.go_on()
        program.expect("stopped True")
        program.expect("joined")
        assert program.wait() == 0
        assert program.left_behind() == []


def test_interrupt_of_the_main_thread_while_another_serves(tmp_path: Path) -> None:
    with started("serves_in_a_thread", tmp_path) as program:
        program.signal(signal.SIGINT)
        assert program.wait() == -signal.SIGINT
        assert program.left_behind(2.0) == []


def test_end_without_stop(tmp_path: Path) -> None:
    with started("ends_without_stop", tmp_path) as program:
        program.go_on()
        assert program.wait() == 0
        assert program.left_behind() == []


def test_end_without_stop_answers_what_is_in_work(tmp_path: Path) -> None:
    with started("ends_without_stop", tmp_path) as program:
        # Its main thread and its function wait for a line each.
        pending = Pending(program.address, "gated", 3)
        program.expect("working")
        program.go_on()
        program.go_on()
        assert outputs(pending.reply()) == [3]
        assert program.wait() == 0
        assert program.left_behind() == []


def test_end_with_an_exception(tmp_path: Path) -> None:
    with started("ends_with_an_exception", tmp_path) as program:
        program.go_on()
        assert program.wait() == 1
        assert program.left_behind() == []


def test_end_without_exit_handlers(tmp_path: Path) -> None:
    with started("ends_at_once", tmp_path) as program:
        program.go_on()
        assert program.wait() == 3
        assert program.left_behind(2.0) == []


def test_forgotten_server_runs_until_the_end(tmp_path: Path) -> None:
    with started("forgets", tmp_path) as program:
        program.expect("forgotten")
        assert answer(program.address, "double", 2) == [4]
        program.go_on()
        assert program.wait() == 0
        assert program.left_behind() == []


def test_child_does_not_end_the_server_of_its_parent(tmp_path: Path) -> None:
    with started("child_ends_normally", tmp_path) as program:
        program.expect("child 5 True")
        assert answer(program.address, "double", 2) == [4]
        program.go_on()
        assert program.wait() == 0
        assert program.left_behind() == []


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_while_the_server_starts(number: signal.Signals, tmp_path: Path) -> None:
    with started("serves", tmp_path, half_started=True) as program:
        program.signal(number)
        assert program.wait() == 0
        assert program.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGABRT])
def test_signal_that_nobody_handles(number: signal.Signals, tmp_path: Path) -> None:
    with started("ends_without_stop", tmp_path) as program:
        program.signal(number)
        assert program.wait() == -number
        assert program.left_behind(2.0) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_that_nobody_handles_to_the_server_too(number: signal.Signals, tmp_path: Path) -> None:
    with started("ends_without_stop", tmp_path) as program:
        assert program.server is not None
        program.server.kill(number)
        program.signal(number)
        assert program.wait() == -number
        assert program.left_behind(2.0) == []
