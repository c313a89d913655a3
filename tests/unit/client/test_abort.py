# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pytriton.client._grpc.transport import _interruptible
from pytriton.client._threads.abort import Abort
from pytriton.client.exceptions import PyTritonClientAbortedError


class Call:
    """A gRPC call that somebody ends in the moment in which it is sent."""

    def __init__(self, abort: Abort) -> None:
        self._abort = abort
        self.cancelled = False

    def future(self) -> Call:
        self._abort.ask()
        return self

    def cancel(self) -> None:
        self.cancelled = True


def test_a_call_that_is_ended_while_it_is_sent_is_cancelled() -> None:
    abort = Abort()
    call = Call(abort)
    with pytest.raises(PyTritonClientAbortedError):
        _interruptible(call, abort)()
    assert call.cancelled


def test_what_was_ended_before_is_not_begun() -> None:
    abort = Abort()
    abort.ask()
    with pytest.raises(PyTritonClientAbortedError):
        abort.run(lambda: pytest.fail("it was called"))
