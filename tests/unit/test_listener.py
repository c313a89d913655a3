# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytriton.worker.listener import Listener


class FakeChannel:
    """As much of a channel as a listener sees."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.is_waiting = False
        self.on_waiting: Callable[[], object] | None = None

    def fileno(self) -> int:
        return self.ours.fileno()

    def come(self) -> None:
        self.theirs.send(b"x")

    def receive(self) -> None:
        assert self.ours.recv(1, socket.MSG_DONTWAIT) == b"x"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    channel = FakeChannel()
    yield channel
    channel.ours.close()
    channel.theirs.close()


@pytest.fixture
def listener(loop: asyncio.AbstractEventLoop, channel: FakeChannel) -> Listener:
    fake: Any = channel
    return Listener(loop, fake)


def test_tasks_go_on_until_something_comes_by_one_reader(
    loop: asyncio.AbstractEventLoop, channel: FakeChannel, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[int] = []
    add_reader = loop.add_reader

    def counted(descriptor: Any, *of_reader: Any) -> None:
        readers.append(descriptor)
        add_reader(descriptor, *of_reader)

    monkeypatch.setattr(loop, "add_reader", counted)
    for _ in range(5):
        loop.call_soon(loop.call_soon, channel.come)
        listener.turn()
        channel.receive()
        loop.run_until_complete(asyncio.sleep(0))
    assert readers == [channel.fileno()]
    listener.close()
    assert not loop.remove_reader(channel.fileno())


def test_what_comes_while_a_coroutine_runs_does_not_disturb_it(
    loop: asyncio.AbstractEventLoop, channel: FakeChannel, listener: Listener
) -> None:
    channel.come()
    listener.turn()
    channel.receive()

    async def something_comes() -> str:
        channel.come()
        for _ in range(10):
            await asyncio.sleep(0)
        # Nobody is told over and over of what nobody can take now.
        assert not loop.remove_reader(channel.fileno())
        return "done"

    assert loop.run_until_complete(something_comes()) == "done"
    listener.turn()
    channel.receive()
    listener.close()


def test_what_came_before_is_not_waited_for(
    loop: asyncio.AbstractEventLoop, channel: FakeChannel, listener: Listener
) -> None:
    channel.is_waiting = True
    listener.turn()
    channel.is_waiting = False
    assert channel.on_waiting is not None
    channel.on_waiting()  # while it does not turn: the next one is not cut short

    def tell() -> None:
        assert channel.on_waiting is not None
        channel.is_waiting = True
        channel.on_waiting()

    loop.call_soon(loop.call_soon, tell)
    listener.turn()
    assert channel.is_waiting
    listener.close()
    assert channel.on_waiting is None


def test_it_turns_on_when_a_task_raises_what_ends_programs(
    loop: asyncio.AbstractEventLoop, channel: FakeChannel, listener: Listener
) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    task = loop.create_task(leave())
    task.add_done_callback(lambda _: channel.come())
    listener.turn()
    channel.receive()
    assert isinstance(task.exception(), SystemExit)
    listener.close()


def test_the_end_of_the_connection_is_something(channel: FakeChannel, listener: Listener) -> None:
    channel.theirs.close()
    listener.turn()
    assert channel.ours.recv(1) == b""
    listener.close()
