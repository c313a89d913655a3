# SPDX-License-Identifier: Apache-2.0
"""How a client proceeds, without input and output: generators that say what to do and are told the result.

What a client does is written once, as such a generator; a shell runs it with a transport, blocking or not.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from pytriton.client._core.operations import Operation

__all__ = ["LONGEST_S", "Exchange", "Flow", "Pause", "Transport", "run"]

Result = TypeVar("Result")

LONGEST_S: Final = 2e6
"""23 days, in place of any longer time: sockets count milliseconds in 31 bits, and gRPC has a limit too."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Ask the server; the flow is sent the result, or thrown the exception."""

    operation: Operation
    timeout_s: float
    headers: Mapping[str, str]
    what: str
    """Beginning of messages."""

    def __post_init__(self) -> None:
        if self.timeout_s > LONGEST_S:
            object.__setattr__(self, "timeout_s", LONGEST_S)

    def within(self, timeout_s: float | None) -> Exchange:
        """The same within this time, if that is shorter."""
        if timeout_s is None or timeout_s >= self.timeout_s:
            return self
        return dataclasses.replace(self, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


Flow: TypeAlias = Generator[Exchange | Pause, Any, Result]


class Transport(Protocol):
    """A blocking connection to a server, for any number of threads."""

    def exchange(self, command: Exchange) -> Any:
        """Ask the server."""

    def stream(self, command: Exchange, timeout_s: float | None) -> Any:
        """Send a request whose responses are read one by one: a StreamCall."""

    def close(self) -> None:
        """Close all connections."""


def run(flow: Flow[Result], transport: Transport, pause: Callable[[float], object] = time.sleep) -> Result:
    """Run a flow in this thread.

    Args:
        flow: What to do.
        transport: Asks the server.
        pause: Waits so many seconds.
    """
    try:
        command = next(flow)
        while True:
            try:
                if isinstance(command, Exchange):
                    answer = transport.exchange(command)
                else:
                    answer = None
                    pause(command.seconds)
            except Exception as error:
                command = flow.throw(error)
            else:
                command = flow.send(answer)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        flow.close()
