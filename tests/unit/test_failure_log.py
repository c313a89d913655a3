# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

from pytriton.exceptions import ErrorCode
from pytriton.worker.failure_log import PERIOD_S, FailureLog

LOGGER = logging.getLogger("tests.failures")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


def test_the_same_text_is_said_once_a_period_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    log = FailureLog("m", LOGGER, clock)
    for _ in range(4):
        log.note(ErrorCode.INTERNAL, "broken", 1)
    log.note(ErrorCode.INTERNAL, "otherwise broken", 3)
    assert said(caplog) == [
        ("WARNING", 'model "m": inference failed: broken'),
        ("WARNING", 'model "m": inference failed (and 2 more requests of the batch): otherwise broken'),
    ]
    clock.now += PERIOD_S
    log.note(ErrorCode.INTERNAL, "broken", 1)
    log.note(ErrorCode.INTERNAL, "broken", 1)
    assert said(caplog) == [
        ("WARNING", 'model "m": inference failed (3 more times since this was last said): broken')
    ]


def test_what_a_client_did_wrong_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = FailureLog("m", LOGGER)
    log.note(ErrorCode.INVALID_ARG, "got 'x'; expected int.", 1)
    log.note(ErrorCode.INVALID_ARG, "got 'x'; expected int.", 1)
    assert said(caplog) == [("INFO", "model \"m\": request refused: got 'x'; expected int.")]
    caplog.set_level(logging.WARNING)
    log.note(ErrorCode.INVALID_ARG, "got 'y'; expected int.", 1)
    assert said(caplog) == []


def test_for_debugging_everything_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = FailureLog("m", LOGGER)
    for _ in range(3):
        log.note(ErrorCode.INTERNAL, "broken", 1)
    assert [level for level, _ in said(caplog)] == ["WARNING", "DEBUG", "DEBUG"]


def test_texts_that_all_differ_take_no_memory_for_ever() -> None:
    log = FailureLog("m", LOGGER)
    for number in range(1000):
        log.note(ErrorCode.INTERNAL, f"broken {number}", 1)
    assert len(log._said) <= 64
