# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pytriton.serving import at_exit


class Serving:
    def __init__(self) -> None:
        self.is_stopped = False

    def stop(self) -> bool:
        self.is_stopped = True
        at_exit.stopped(self)
        raise OSError("No space left on device")


def test_one_that_cannot_be_stopped_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    serving = [Serving(), Serving()]
    for each in serving:
        at_exit.stop_at_exit(each)
    at_exit.stop_running()
    assert all(each.is_stopped for each in serving)
    assert caplog.messages == ["A server could not be stopped properly."] * 2
