# SPDX-License-Identifier: Apache-2.0
"""Futures whose requests can be ended."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, TypeVar

from pytriton.client._threads.abort import Abort
from pytriton.client.exceptions import PyTritonClientAbortedError

__all__ = ["AbortableFuture", "settled_here"]

_LOGGER = logging.getLogger(__name__)

Result = TypeVar("Result")
_thread = threading.local()


def settled_here() -> Callable[[], Any] | None:
    """What this thread settles a future with, if it does: the future's callbacks run in it as well."""
    return getattr(_thread, "function", None)


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

    def add_done_callback(self, fn: Callable[[Future[Result]], object]) -> None:
        """Call a function when the future is done; what it raises ends no thread of the client."""
        super().add_done_callback(functools.partial(_call_back, fn))

    def settle(self, function: Callable[[], Result]) -> None:
        """Run what the future stands for, in this thread; its own pool calls this."""
        _thread.function = function
        try:
            if self.set_running_or_notify_cancel():
                self._settle(function)
        except (InvalidStateError, RuntimeError):
            _LOGGER.warning("%r was settled by somebody else.", self)
        finally:
            _thread.function = None

    def _settle(self, function: Callable[[], Result]) -> None:
        try:
            result = self._abort.run(function)
        except BaseException as error:
            self.set_exception(self._told(error))
        else:
            self.set_result(result)

    def _told(self, error: BaseException) -> BaseException:
        """What the future fails with."""
        if not self._abort.is_asked or isinstance(error, PyTritonClientAbortedError):
            return error
        aborted = PyTritonClientAbortedError(f"The request was aborted. {error}")
        aborted.__cause__ = error
        return aborted


def _call_back(function: Callable[[Any], object], future: Future[Any]) -> None:
    try:
        function(future)
    except Exception:
        raise  # which Future itself logs
    except BaseException:
        # Future lets these pass. The thread of a client that settles must outlive them, and call the others.
        if settled_here() is None:
            raise
        _LOGGER.exception("exception calling callback for %r", future)
