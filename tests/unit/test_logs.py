# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from pytriton.server.logs import LogPump, explain, parse_line, tail

HEAD = "1122 10:38:19.491895 3882 server.cc:604]"


def pumped(text: str) -> LogPump:
    output, into = os.pipe()
    pump = LogPump(output)
    pump.start()
    with open(into, "wb") as file:
        file.write(text.encode())
    pump.join(10)
    return pump


@pytest.mark.parametrize(
    ("letter", "level"),
    [("I", logging.INFO), ("W", logging.WARNING), ("E", logging.ERROR), ("F", logging.CRITICAL)],
)
def test_levels_in_both_formats(letter: str, level: int) -> None:
    assert parse_line(f"{letter}{HEAD} text")[:2] == (level, "text")
    assert parse_line(f"2025-11-22T10:38:19Z {letter} 3882 server.cc:604] text")[:2] == (level, "text")


def test_text_is_unquoted() -> None:
    assert parse_line(f'I{HEAD} "a \\"b\\"\\nc"').text == 'a "b"\nc'
    assert parse_line(f'I{HEAD} "not json').text == '"not json'


def test_line_of_grpc() -> None:
    line = "E1122 10:59:33.213732299   10098 ssl.cc:772]        Invalid cert chain file."
    assert parse_line(line) == (logging.ERROR, "Invalid cert chain file.", True, "ssl.cc:772")


def test_table_has_the_level_of_its_head() -> None:
    assert parse_line("+----+", logging.WARNING).level == logging.WARNING
    assert parse_line("| a  |", logging.WARNING).level == logging.WARNING
    assert parse_line("Signal (15) received.", logging.ERROR).level == logging.INFO


def test_harmless_lines_are_no_failures() -> None:
    line = f'E{HEAD} "CudaDriverHelper has not been initialized."'
    assert parse_line(line) == (
        logging.DEBUG,
        "CudaDriverHelper has not been initialized.",
        False,
        "server.cc:604",
    )
    assert not parse_line("Error: Failed to initialize NVML").failure


def test_records(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "pytriton.server"):
        pumped(f"I{HEAD} \n+--+\n| 100%s |\nW{HEAD} careful\nno end of line")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, "+--+"),
        (logging.INFO, "| 100%s |"),
        (logging.WARNING, "careful"),
        (logging.INFO, "no end of line"),
    ]


def test_only_the_last_lines_are_kept() -> None:
    pump = pumped("".join(f"line {number}\n" for number in range(1000)) + "x" * 10_000)
    assert len(pump.lines) == 200
    assert pump.lines[0] == "line 801"
    assert len(pump.lines[-1]) == 4096


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            ["/x/tritonserver: unrecognized option '--foo=1'", *["usage"] * 500],
            "unrecognized option '--foo=1'",
        ),
        (["usage", 'Bad option: "--http-port".', "Invalid option value. Got abc"], "--http-port"),
        (["x: error while loading shared libraries: liba.so: cannot open"], "liba.so: cannot open"),
        ([f'E{HEAD} "failed to start HTTP service: taken "', "+--+"], "failed to start HTTP service: taken"),
        (["error: creating server: Internal - failed to stat file /nope"], "failed to stat file /nope"),
        (["just", "some", "last", "words"], "some; last; words"),
        ([], ""),
    ],
)
def test_explanation(lines: list[str], why: str) -> None:
    explanation = pumped("\n".join(lines)).explanation(at_start=True)
    assert why in explanation
    assert "usage" not in explanation or len(lines) < 4


def test_explanation_of_a_late_end() -> None:
    failure = f"E{HEAD} long ago\n"
    assert pumped(failure + "quiet\n" * 30).explanation(at_start=False) == ""
    assert pumped(failure + "quiet\n" * 30 + "Signal (11) received.\n").explanation(at_start=False) == (
        "Signal (11) received"
    )


def test_explanation_says_nothing_twice() -> None:
    assert (
        explain([f"E{HEAD} cause", f"E{HEAD} failed to do it: cause.", f"E{HEAD} cause"])
        == "failed to do it: cause"
    )


def test_failures_are_taken_out_once() -> None:
    pump = pumped(f"E{HEAD} of 'm': old\nE{HEAD} of 'n'\nE{HEAD} of 'm': new\n")
    assert pump.take_failure("'m'", 0) == "of 'm': new"
    assert pump.take_failure("'m'", 0.01) == ""
    assert pump.explanation(at_start=True) == "of 'n'"


def test_tail_of_a_log_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert tail(path, 0) == []
    path.write_text("old\nnew\n")
    assert tail(path, 4) == ["new"]
    assert tail(path, 100) == ["old", "new"]
