# SPDX-License-Identifier: Apache-2.0
"""Load over gRPC with TLS, by its library: blocking calls for one request at a time, else asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Any, Final

import grpc
import grpc.aio

from pytriton.bench.arrivals import due_times
from pytriton.bench.plan import METHOD, NS_PER_S, Plan, Seen
from pytriton.client._grpc.transport import channel_credentials, channel_options
from pytriton.client.options import Tls

__all__ = ["GrpcLoad"]

_now: Final = time.monotonic_ns


class GrpcLoad:
    """Sends a plan's requests."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.seen = Seen()
        """What it has seen so far."""
        self._alone = plan.concurrency == 1 and not plan.rate
        self._channel: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def connect(self) -> None:
        """Open the channel; fails if the server does not answer."""
        plan = self._plan
        kind: Any = grpc if self._alone else grpc.aio
        if self._alone:
            self._channel = self._open(kind)
            grpc.channel_ready_future(self._channel).result(plan.timeout_s)
        else:
            self._loop = asyncio.new_event_loop()
            self._loop.run_until_complete(self._connect_async(kind))
        self._call = self._channel.unary_unary(METHOD)

    def run(self, start_ns: int) -> Seen:
        """Send until the time is over, wait for what is under way, and tell what was seen."""
        seen, plan = self.seen, self._plan
        seen.begin(plan, start_ns)
        used, begun = time.process_time(), time.monotonic()
        if self._loop is None:
            self._run_alone()
        else:
            self._loop.run_until_complete(self._run_open(start_ns) if plan.rate else self._run_closed())
        # gRPC has threads of its own, which compute beside each other.
        seen.busy = (time.process_time() - used) / max(time.monotonic() - begun, 1e-9)
        return seen

    def close(self) -> None:
        """Close the channel."""
        if self._loop is not None:
            if self._channel is not None:
                self._loop.run_until_complete(self._channel.close())
            self._loop.close()
        elif self._channel is not None:
            self._channel.close()

    def _open(self, kind: Any) -> Any:
        if self._plan.encrypted:
            return kind.secure_channel(self._plan.target, channel_credentials(Tls()), channel_options())
        return kind.insecure_channel(self._plan.target, channel_options())

    async def _connect_async(self, kind: Any) -> None:
        self._channel = self._open(kind)
        await asyncio.wait_for(self._channel.channel_ready(), self._plan.timeout_s)

    def _run_alone(self) -> None:
        seen, plan, call = self.seen, self._plan, self._call
        message, metadata, timeout_s, ends_at = plan.message, plan.metadata, plan.timeout_s, seen.ends_at
        while (sent := _now()) < ends_at:
            try:
                call(message, timeout=timeout_s, metadata=metadata)
            except grpc.RpcError as error:
                self._fail(error)
                continue
            now = _now()
            seen.ends.append(now)
            seen.latencies.append(now - sent)

    async def _run_closed(self) -> None:
        async def go() -> None:
            while (sent := _now()) < self.seen.ends_at:
                await self._ask(sent)

        await asyncio.gather(*(go() for _ in range(self._plan.concurrency)))

    async def _run_open(self, start_ns: int) -> None:
        loop = asyncio.get_running_loop()
        waiting: deque[int] = deque()
        flying: set[asyncio.Task[None]] = set()

        async def go(due: int) -> None:
            await self._ask(due)
            while waiting and _now() < self.seen.ends_at:
                await self._ask(waiting.popleft())

        def take(dues: list[int]) -> None:
            for due in dues:
                if len(flying) < self._plan.concurrency:
                    task = loop.create_task(go(due))
                    flying.add(task)
                    task.add_done_callback(flying.discard)
                else:
                    waiting.append(due)

        clock = threading.Thread(target=self._tick, args=(loop, take, start_ns), daemon=True)
        clock.start()
        await asyncio.to_thread(clock.join)
        while flying:
            await asyncio.wait(flying)
        self.seen.unsent = len(waiting)

    def _tick(self, loop: asyncio.AbstractEventLoop, take: Any, start_ns: int) -> None:
        """Hand over what is due; a thread of its own, because asyncio's clock has but milliseconds."""
        times = due_times(self._plan.rate, self._plan.poisson, start_ns)
        due = next(times)
        while (now := _now()) < self.seen.ends_at:
            dues = []
            while due <= now:
                dues.append(due)
                due = next(times)
            if dues:
                loop.call_soon_threadsafe(take, dues)
            time.sleep(max(min(due, self.seen.ends_at) - _now(), 0) / NS_PER_S)

    async def _ask(self, due: int) -> None:
        plan = self._plan
        try:
            await self._call(plan.message, timeout=plan.timeout_s, metadata=plan.metadata)
        except grpc.RpcError as error:
            self._fail(error)
            await asyncio.sleep(0)
            return
        now = _now()
        self.seen.ends.append(now)
        self.seen.latencies.append(now - due)

    def _fail(self, error: Any) -> None:
        self.seen.fail(f"{error.code().name}: {error.details()}")
