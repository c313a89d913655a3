# SPDX-License-Identifier: Apache-2.0
"""Load over sockets: one thread, many connections, ready-made bytes; a request costs some 20 microseconds."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from pytriton.bench.arrivals import due_times
from pytriton.bench.exchange import Exchange
from pytriton.bench.plan import NS_PER_S, Plan, Seen

__all__ = ["SocketLoad"]

_CHUNK: Final = 1 << 18
_FIRST_CONNECTIONS: Final = 16
_DRAIN_S: Final = 5.0
_now: Final = time.monotonic_ns


class SocketLoad:
    """Sends a plan's requests."""

    def __init__(self, plan: Plan, exchange: Callable[[], Exchange]) -> None:
        """Open nothing yet.

        Args:
            plan: The load.
            exchange: Makes what a connection says and hears.
        """
        self._plan = plan
        self._exchange = exchange
        host, _, port = plan.target.rpartition(":")
        self._address = (host.strip("[]"), int(port))
        self._poll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        self.seen = Seen()
        """What it has seen so far."""
        self._idle: deque[_Connection] = deque()

    def connect(self) -> None:
        """Open the connections of a closed loop, and the first ones of an open loop."""
        count = self._plan.concurrency
        for _ in range(min(count, _FIRST_CONNECTIONS) if self._plan.rate else count):
            self._idle.append(self._open())

    def run(self, start_ns: int) -> Seen:
        """Send until the time is over, wait for what is under way, and tell what was seen."""
        seen, plan = self.seen, self._plan
        seen.begin(plan, start_ns)
        used, begun = time.thread_time(), time.monotonic()
        if plan.rate:
            self._run_open(start_ns)
        else:
            self._run_closed()
        seen.busy = (time.thread_time() - used) / max(time.monotonic() - begun, 1e-9)
        self._drain()
        return seen

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._by_fd.values()):
            connection.socket.close()
        self._by_fd.clear()
        self._poll.close()

    def _run_closed(self) -> None:
        ends_at, poll = self.seen.ends_at, self._poll.poll
        while self._idle:
            self._send(self._idle.popleft(), _now())
        while True:
            for fd, event in poll(0.1):
                connection = self._by_fd[fd]
                if self._progress(connection, event):
                    now = _now()
                    if now < ends_at:
                        self._send(connection, now)
            now = _now()
            if now >= ends_at:
                return
            self._expire(now)

    def _run_open(self, start_ns: int) -> None:
        ends_at, fileno = self.seen.ends_at, self._poll.fileno()
        times = due_times(self._plan.rate, self._plan.poisson, start_ns)
        due = next(times)
        waiting: deque[int] = deque()
        while True:
            now = _now()
            if now >= ends_at:
                break
            while due <= now:
                waiting.append(due)
                due = next(times)
            while waiting and (self._idle or len(self._by_fd) < self._plan.concurrency):
                self._send(self._idle.popleft() if self._idle else self._open(), waiting.popleft())
            # Of the ways to wait this one alone is finer than a millisecond.
            select.select([fileno], [], [], max(min(due, ends_at) - _now(), 0) / NS_PER_S)
            for fd, event in self._poll.poll(0):
                connection = self._by_fd[fd]
                if self._progress(connection, event):
                    if waiting:
                        self._send(connection, waiting.popleft())
                    else:
                        self._idle.append(connection)
            self._expire(now)
        self.seen.unsent = len(waiting)

    def _drain(self) -> None:
        """Wait for the answers under way, so that the next load does not find them."""
        deadline = time.monotonic() + min(_DRAIN_S, self._plan.timeout_s)
        while any(each.due for each in self._by_fd.values()) and time.monotonic() < deadline:
            for fd, event in self._poll.poll(0.1):
                self._progress(self._by_fd[fd], event)

    def _open(self) -> _Connection:
        opened = socket.create_connection(self._address, timeout=self._plan.timeout_s)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange = self._exchange()
            opened.sendall(exchange.opening())
            while not exchange.has_greeted():
                data = opened.recv(_CHUNK)
                if not data:
                    raise ConnectionResetError("the server closed the connection at once")
                opened.sendall(exchange.feed(data))
            opened.setblocking(False)
        except BaseException:
            opened.close()
            raise
        connection = _Connection(opened, exchange)
        self._by_fd[opened.fileno()] = connection
        self._poll.register(opened.fileno(), select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection, due: int) -> None:
        connection.due = due
        try:
            self._write(connection, connection.exchange.request())
        except OSError as error:
            self._fail(connection, f"sending failed: {error.strerror or error}")

    def _write(self, connection: _Connection, data: bytes) -> None:
        if connection.rest is not None:
            connection.rest = memoryview(bytes(connection.rest) + data)
            return
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            connection.rest = memoryview(data)[sent:]
            self._poll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _progress(self, connection: _Connection, event: int) -> bool:
        """Take what a connection has; whether it can carry the next request."""
        exchange = connection.exchange
        try:
            if event & select.EPOLLOUT and connection.rest is not None:
                self._write_rest(connection)
            if not event & ~select.EPOLLOUT:
                return False
            data = connection.socket.recv(_CHUNK)
            if not data:
                return self._fail(connection, "the server closed the connection before it answered")
            if outgoing := exchange.feed(data):
                self._write(connection, outgoing)
        except BlockingIOError:
            return False
        except OSError as error:
            return self._fail(connection, f"the connection broke: {error.strerror or error}")
        except ValueError as error:
            return self._fail(connection, str(error))
        if not exchange.complete:
            return False
        exchange.complete = False
        if exchange.error is None:
            now = _now()
            self.seen.ends.append(now)
            self.seen.latencies.append(now - connection.due)
        else:
            self.seen.fail(exchange.error)
        connection.due = 0
        if not exchange.keeps_alive:
            self._replace(connection)
            return False
        return True

    def _write_rest(self, connection: _Connection) -> None:
        assert connection.rest is not None
        connection.rest = connection.rest[connection.socket.send(connection.rest) :]
        if not connection.rest:
            connection.rest = None
            self._poll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _fail(self, connection: _Connection, message: str) -> bool:
        if connection.due:  # an idle connection may be closed without harm
            self.seen.fail(message)
        self._replace(connection)
        return False

    def _replace(self, connection: _Connection) -> None:
        """Close a connection and go on with a new one."""
        fd = connection.socket.fileno()
        self._poll.unregister(fd)
        del self._by_fd[fd]
        connection.socket.close()
        if connection in self._idle:
            self._idle.remove(connection)
        now = _now()
        if now >= self.seen.ends_at:
            return
        try:
            fresh = self._open()
        except OSError as error:
            self.seen.fail(f"connecting failed: {error.strerror or error}")
            time.sleep(0.01)  # a server that is not there shall not be asked a million times
            if self._plan.rate:
                return
            self._lost += 1
            return
        if self._plan.rate:
            self._idle.append(fresh)
        else:
            self._send(fresh, now)

    _lost = 0

    def _expire(self, now: int) -> None:
        if now < self._next_look:
            return
        self._next_look = now + NS_PER_S // 10
        limit = now - int(self._plan.timeout_s * NS_PER_S)
        for connection in [each for each in self._by_fd.values() if 0 < each.due < limit]:
            self._fail(connection, f"no answer within {self._plan.timeout_s:g} s")
        for _ in range(self._lost):  # connections of a closed loop that could not be made again
            self._lost -= 1
            try:
                self._send(self._open(), now)
            except OSError as error:
                self.seen.fail(f"connecting failed: {error.strerror or error}")
                self._lost += 1

    _next_look = 0


class _Connection:
    """One connection, which carries one request at a time."""

    __slots__ = ("due", "exchange", "rest", "socket")

    def __init__(self, opened: socket.socket, exchange: Exchange) -> None:
        self.socket = opened
        self.exchange = exchange
        self.due = 0
        """When its request was due to be sent; 0 while it carries none."""
        self.rest: memoryview | None = None
        """What is still to be sent."""
