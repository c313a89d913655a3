# SPDX-License-Identifier: Apache-2.0
"""Flows in asyncio tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from pytriton.client._core.flow import Exchange, Flow

__all__ = ["AsyncTransport", "is_being_cancelled", "run_async"]

Result = TypeVar("Result")


class AsyncTransport(Protocol):
    """A connection to a server for one event loop."""

    async def exchange(self, command: Exchange) -> Any:
        """Ask the server."""

    async def stream(self, command: Exchange, timeout_s: float | None) -> Any:
        """Send a request whose responses are read one by one: an AsyncStreamCall."""

    async def close(self) -> None:
        """Close all connections."""

    def abandon(self) -> None:
        """Give up connections whose event loop has ended."""


async def run_async(
    flow: Flow[Result],
    transport: AsyncTransport,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Result:
    """Run a flow in this task.

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
                    answer = await transport.exchange(command)
                else:
                    answer = None
                    await pause(command.seconds)
            except Exception as error:
                command = flow.throw(error)
            else:
                command = flow.send(answer)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        flow.close()


def is_being_cancelled() -> bool:
    """Whether somebody cancels this task, as far as Python knows: from 3.11 on."""
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    return cancelling is not None and bool(cancelling())
