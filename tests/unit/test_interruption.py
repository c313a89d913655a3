# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal

import pytest

from pytriton.serving import interruption
from pytriton.serving.interruption import ended_by_signals, interrupted_by_signals


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize(("number", "args"), [(signal.SIGINT, ()), (signal.SIGTERM, ("SIGTERM",))])
def test_a_signal_interrupts(number: signal.Signals, args: tuple[str, ...]) -> None:
    before = handlers()
    with pytest.raises(KeyboardInterrupt) as caught, interrupted_by_signals():
        signal.raise_signal(number)
    assert caught.value.args == args
    assert handlers() == before


def test_signals_at_once_interrupt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    handled = []
    with interrupted_by_signals():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)
            handled.append("the first one")
        # Later, if nothing has come of the first.
        monkeypatch.setattr(interruption, "_AT_ONCE_S", 0.0)
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
    assert handled == ["the first one"]


def test_a_second_signal_ends_what_the_first_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    with interrupted_by_signals():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with ended_by_signals():
            signal.raise_signal(signal.SIGTERM)  # at once: it says the same
        monkeypatch.setattr(interruption, "_AT_ONCE_S", 0.0)
        with pytest.raises(SystemExit) as caught, ended_by_signals():
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM


def test_handlers_of_the_program_stay() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        with interrupted_by_signals(), ended_by_signals():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == [signal.SIGINT]
