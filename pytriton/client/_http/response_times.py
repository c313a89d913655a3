# SPDX-License-Identifier: Apache-2.0
"""Until when the responses of a stream must come."""

from __future__ import annotations

import math

from pytriton.client._core import failures
from pytriton.client._core.flow import Exchange
from pytriton.client.exceptions import PyTritonClientTimeoutError

__all__ = ["ResponseTimes"]


class ResponseTimes:
    """Each response has a time of its own, and there may be one for all together; by any clock of seconds."""

    def __init__(self, command: Exchange, timeout_s: float | None, now: float) -> None:
        """Begin.

        Args:
            command: What is asked; its timeout is that of each response.
            timeout_s: Time for all responses together.
            now: The time now.
        """
        self._command = command
        self._timeout_s = timeout_s
        self._end = math.inf if timeout_s is None else now + timeout_s
        self._is_end_near = False

    def deadline(self, now: float) -> float:
        """Until when the next response must come, which is waited for from now on."""
        own = now + self._command.timeout_s
        self._is_end_near = self._end < own
        return self._end if self._is_end_near else own

    def late(self) -> PyTritonClientTimeoutError:
        """The exception for a response that did not come until then."""
        return failures.late(self._command, self._timeout_s if self._is_end_near else None)
