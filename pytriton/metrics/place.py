# SPDX-License-Identifier: Apache-2.0
"""One server that is told what this process counts."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, Final

from pytriton.metrics import wire
from pytriton.metrics.registry import Family, registry
from pytriton.metrics.series import Series

__all__ = ["Place"]

LOGGER = logging.getLogger(__name__)

_NAME: Final = "metrics"
# Of the kernel: with one of Python's a look whether there is something to read would wait.
_TIMEOUT: Final = Struct("@ll").pack(5, 0)
_REPLY_SIZE: Final = 64 * 1024
# A record is smaller than the difference.
_PACKET_SIZE: Final = wire.MAX_METRICS_PACKET - 32 * 1024
_DUPLICATE: Final = "reports already"


class _Packet:
    """Records that are sent together, and what the server knows once it has them."""

    def __init__(self) -> None:
        self.records = bytearray()
        self.observations = 0
        self.known: list[tuple[Series, Any]] = []

    def has_room(self, observations: int) -> bool:
        """Whether more fits."""
        fits = self.observations + observations <= wire.MAX_OBSERVATIONS
        return fits and len(self.records) < _PACKET_SIZE

    def append(self, record: bytes, observations: int) -> None:
        """Add a record."""
        self.records += record
        self.observations += observations


class Place:
    """The metrics socket in a directory. All of it belongs to the reporter's thread."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _NAME)
        self._socket: socket.socket | None = None
        self._families: dict[Family, int] = {}
        self._series: dict[Series, int] = {}
        # What the servers of this place were told, one after the other: a new one begins at nothing, as with
        # all metrics, and is told only what has changed since the last one heard of it.
        self._known: dict[Series, Any] = {}
        # Two places can be one server, which hears of everything at one of them: at which, if it is so.
        self._told_at: list[Place] = []
        self._complaints: set[str] = set()

    @property
    def connected(self) -> bool:
        """Whether a server listens."""
        return self._socket is not None

    def fileno(self) -> int:
        """Descriptor that is readable when the server has gone."""
        assert self._socket is not None
        return self._socket.fileno()

    def report(self, places: Sequence[Place]) -> None:
        """Say what has changed, if there is somebody to listen; otherwise later.

        Args:
            places: All places of this process, this one among them.
        """
        if self._socket is None and not self._connect(places):
            return
        try:
            self._check_open()
            for packet in self._packets():
                self._send(packet)
        except OSError:
            self.close()

    def close(self) -> None:
        """End the connection."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()
        self._families.clear()
        self._series.clear()

    def _connect(self, places: Sequence[Place]) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                connection.setsockopt(socket.SOL_SOCKET, direction, _TIMEOUT)
            connection.connect(self._path)
            connection.send(wire.hello(_process_number()), socket.MSG_NOSIGNAL)
            reply = connection.recv(_REPLY_SIZE)
            if not reply or reply.strip():
                if _DUPLICATE.encode() in reply:
                    # None, if the server has not noticed yet that the other connection has ended.
                    self._told_at = [place for place in places if place.connected] or self._told_at
                raise ConnectionError
        except OSError:
            connection.close()
            return False
        # It is told here now because it is told there no more.
        for place in self._told_at:
            if not place.connected:
                self._known = dict(place._known)
        self._told_at = []
        self._known = {series: known for series, known in self._known.items() if not series.is_state}
        self._socket = connection
        return True

    def _check_open(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError):
            if not self._socket.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK):
                raise ConnectionError

    def _packets(self) -> Iterator[_Packet]:
        packet = _Packet()
        for family, values, series in _everything():
            now = series.snapshot()
            if not packet.has_room(0):
                yield packet
                packet = _Packet()
            packet.append(self._declared(family, values, series), 0)
            number = self._series[series]
            for record, observations in series.records(number, self._known.get(series), now):
                if not packet.has_room(observations):
                    yield packet
                    packet = _Packet()
                packet.append(record, observations)
            packet.known.append((series, now))
        if packet.records:
            yield packet

    def _declared(self, family: Family, values: tuple[str, ...], series: Series) -> bytes:
        """Records that declare what was not declared on this connection."""
        record = b""
        if family not in self._families:
            kind, name, labels, buckets, across = family.definition
            record += wire.family(kind, across, name, family.help, labels, buckets)
            self._families[family] = len(self._families)
        if series not in self._series:
            record += wire.series(self._families[family], values)
            self._series[series] = len(self._series)
        return record

    def _send(self, packet: _Packet) -> None:
        assert self._socket is not None
        self._socket.send(packet.records, socket.MSG_NOSIGNAL)
        reply = self._socket.recv(_REPLY_SIZE)
        if not reply:
            raise ConnectionError
        self._known.update(packet.known)
        complaint = reply.decode(errors="replace").strip()
        if complaint and complaint not in self._complaints:
            self._complaints.add(complaint)
            LOGGER.warning("A metric is not shown: %s.", complaint)


def _everything() -> Iterator[tuple[Family, tuple[str, ...], Series]]:
    for family in registry.families():
        for values, series in family.series():
            yield family, values, series


_numbers: Final[dict[int, int]] = {}


def _process_number() -> int:
    """A number that no other process has."""
    return _numbers.setdefault(os.getpid(), secrets.randbits(64))
