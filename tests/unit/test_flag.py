# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
import threading
import time

import pytest

from pytriton.serving.flag import Flag


class Interrupted(Exception):
    """What the handler of a signal raises."""


def interrupt(*_: object) -> None:
    raise Interrupted


def test_set_before_and_while_it_is_waited_for() -> None:
    flag = Flag()
    assert not flag.wait(0)
    assert not flag.wait(0.01)
    threading.Timer(0.01, flag.set).start()
    assert flag.wait(20)
    assert flag.wait(0)


def test_signal_that_another_thread_has_received() -> None:
    """It does not wake the main thread, where Python's handlers run."""

    def receive() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    flag = Flag()
    before = signal.signal(signal.SIGUSR1, interrupt)
    begin = time.monotonic()
    thread = threading.Timer(0.1, receive)
    try:
        thread.start()
        with pytest.raises(Interrupted):
            flag.wait(20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - begin < 10
