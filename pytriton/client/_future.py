# SPDX-License-Identifier: Apache-2.0
"""Futures whose requests can be ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from pytriton.client._abort import Abort
from pytriton.client.exceptions import PyTritonClientAbortedError

__all__ = ["AbortableFuture"]

Result = TypeVar("Result")


class AbortableFuture(Future[Result], Generic[Result]):
    """A future whose request can be ended while it is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._abort = Abort()

    def abort(self) -> bool:
        """Cancel the future, or end its request if that is under way; false if it is done already.

        The result of a request that was under way is PyTritonClientAbortedError. Over gRPC the server is
        told, and through it the function (`Request.is_cancelled()`); over HTTP the connection is closed, of
        which the server in use does not tell the function.
        """
        if self.cancel():
            return True
        if self.done():
            return False
        self._abort.ask()
        return True

    def settle(self, function: Callable[[], Result]) -> None:
        """Run what the future stands for, in this thread; its own pool calls this."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self._abort.run(function))
        except PyTritonClientAbortedError as error:
            self.set_exception(error)
        except BaseException as error:
            if self._abort.is_asked:
                aborted = PyTritonClientAbortedError(f"The request was aborted. {error}")
                aborted.__cause__ = error
                self.set_exception(aborted)
            else:
                self.set_exception(error)
