# SPDX-License-Identifier: Apache-2.0
"""The native backend's side of the channel in Python, over a real socket and a real memfd."""

from __future__ import annotations

import math
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pytriton import dtypes
from pytriton.testing._block import BlockWriter, Requested
from pytriton.worker import layout
from pytriton.worker.views import element_dtype

Array = npt.NDArray[Any]

_TIMEOUT_S: Final = 20.0
_PAGE: Final = 4096


@dataclass
class FakeRequest:
    """One request as the server would describe it; `outputs` None is all of them."""

    inputs: Mapping[str, Array]
    parameters: Mapping[str, str | int | bool | float] = field(default_factory=dict)
    outputs: Sequence[int] | None = None
    id: str = ""
    rows: int = 0


class Message(NamedTuple):
    """A packet of the worker."""

    kind: int
    flags: int
    slot: int
    offset: int
    length: int
    begin_ns: int
    end_ns: int


@dataclass
class Answer:
    """A decoded result table."""

    tensors: dict[tuple[int, int], Array]
    """Outputs by request (or ALL_REQUESTS) and index."""
    errors: dict[int, tuple[int, str]]
    places: dict[tuple[int, int], int]
    released: bool
    message: Message
    responses: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """Flags and parameters by request, of those of which there is something to say."""

    def output(self, index: int = 0, request: int = layout.ALL_REQUESTS) -> Array:
        """One output; an error of the worker fails the test."""
        assert self.errors == {}
        return self.tensors[request, index]

    def error(self, request: int = layout.ALL_REQUESTS) -> str:
        """Text of the one error."""
        assert list(self.errors) == [request]
        return self.errors[request][1]


class FakeBackend:
    """Listens where workers connect."""

    def __init__(
        self,
        path: Path,
        *,
        size: int = 1 << 26,
        refuse_above: int | None = None,
        refused_need: int | None = None,
    ) -> None:
        self.path = path
        self._size = size
        self._refusal = refuse_above, refused_need
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.settimeout(_TIMEOUT_S)
        self._listener.bind(str(path))
        self._listener.listen()
        self.links: list[Link] = []

    def accept(self) -> socket.socket:
        """The next connection, before any word is said."""
        connection, _ = self._listener.accept()
        connection.settimeout(_TIMEOUT_S)
        return connection

    def attach(self) -> Link:
        """The next worker, welcomed."""
        connection = self.accept()
        hello = layout.HELLO.unpack(connection.recv(layout.HELLO.size))
        assert hello[:2] == (layout.MAGIC, layout.PROTOCOL_VERSION)
        assert hello[3] == layout.layout_hash()
        assert hello[4] != 0
        link = Link(connection, self._size, *self._refusal)
        self.links.append(link)
        return link

    def close(self) -> None:
        """End everything."""
        for link in self.links:
            link.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)


class Link:
    """One worker, as the server sees it."""

    def __init__(
        self,
        connection: socket.socket,
        size: int,
        refuse_above: int | None,
        refused_need: int | None = None,
    ) -> None:
        self.socket = connection
        self._refuse_above = refuse_above
        self._refused_need = refused_need
        descriptor = os.memfd_create("fake", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, size)
        self.memory = mmap(descriptor, size)
        self._next = _PAGE
        self._slots = 0
        self._outputs = 0
        self.released: list[int] = []
        self.reserved: list[int] = []
        self.synced: list[int] = []
        self.blocks: dict[int, int] = {}
        socket.send_fds(connection, [self._message(layout.WELCOME, length=size)], [descriptor])
        os.close(descriptor)

    def infer(self, requests: Sequence[FakeRequest], inputs: Sequence[str], **options: Any) -> Answer:
        """Send a batch and wait for its answer; memory that the worker wants is given meanwhile."""
        self.execute(requests, inputs, **options)
        return self.answer()

    def execute(
        self,
        requests: Sequence[FakeRequest],
        inputs: Sequence[str],
        *,
        outputs: int = 1,
        batching: bool = True,
        free: int = _PAGE,
    ) -> int:
        """Send a batch; returns its slot."""
        writer = BlockWriter(
            [
                Requested(
                    request.inputs,
                    _row_count(request, batching),
                    request.parameters,
                    range(outputs) if request.outputs is None else request.outputs,
                    request.id,
                )
                for request in requests
            ],
            inputs,
            free=free,
        )
        base = self._next
        writer.write(self.memory, base)
        self._next = _align(base + writer.length)
        slot = self._slots
        self._slots += 1
        self.blocks[slot] = base
        self.socket.send(self._message(layout.EXECUTE, slot, base, self._next - base))
        return slot

    def answer(self) -> Answer:
        """The next result; reservations, releases and questions before it are dealt with."""
        while True:
            message = self.receive()
            if message.kind == layout.RESULT:
                return self._decode(message)
            self._serve(message)

    def take(self, slot: int, results: int) -> None:
        """Let the worker see that so many of its results have been dealt with."""
        offset = self.blocks[slot] + layout.BLOCK_HEADER.offset("results_taken")
        struct.pack_into("=Q", self.memory, offset, results)

    def cancel(self, slot: int, *requests: int) -> None:
        """Mark requests as cancelled, and say so."""
        for request in requests:
            record = self.blocks[slot] + layout.BLOCK_HEADER.size + request * layout.REQUEST_RECORD.size
            offset = record + layout.REQUEST_RECORD.offset("flags")
            struct.pack_into("=I", self.memory, offset, layout.REQUEST_CANCELLED)
        self.send(layout.CANCELLED, slot)

    def wait_for_release(self) -> int:
        """The slot of the next release."""
        message = self.receive()
        assert message.kind == layout.RELEASE
        self._serve(message)
        return message.slot

    def receive(self) -> Message:
        """The next packet."""
        packet = self.socket.recv(layout.MESSAGE.size + 1)
        if not packet:
            raise EOFError
        return Message(*layout.MESSAGE.unpack(packet))

    def send(self, kind: int, slot: int = 0, offset: int = 0, length: int = 0) -> None:
        """Send a packet of the test's own making."""
        self.socket.send(self._message(kind, slot, offset, length))

    def pending(self) -> int:
        """Kinds of packets that wait; must be none when a test is over."""
        self.socket.setblocking(False)
        try:
            return len(self.socket.recv(4096))
        except BlockingIOError:
            return 0
        finally:
            self.socket.settimeout(_TIMEOUT_S)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _serve(self, message: Message) -> None:
        if message.kind == layout.SYNC:
            self.synced.append(message.slot)
            self.send(layout.SYNCED, message.slot)
        elif message.kind == layout.RELEASE:
            self.released.append(message.slot)
        elif message.kind == layout.RESERVE:
            self.reserved.append(message.length)
            if self._refuse_above is not None and message.length > self._refuse_above:
                need = message.length if self._refused_need is None else self._refused_need
                self.send(layout.REFUSED, message.slot, need, self._refuse_above)
                return
            self.send(layout.RESERVED, message.slot, self._next, message.length)
            self._next = _align(self._next + message.length)
        else:
            raise AssertionError(message)

    def _decode(self, message: Message) -> Answer:
        assert message.begin_ns <= message.end_ns
        if message.length == 0:
            assert message.flags & layout.FINAL
            return Answer({}, {}, {}, bool(message.flags & layout.RELEASED), message)
        header = layout.RESULT_HEADER.unpack_from(self.memory, message.offset)
        tensor_count, error_count, response_count, _ = header
        cursor = message.offset + layout.RESULT_HEADER.size
        tensors, places, errors = {}, {}, {}
        for _ in range(tensor_count):
            index, request, datatype, rank, offset, length, *dims = layout.TENSOR_RECORD.unpack_from(
                self.memory, cursor
            )
            assert (request, index) not in tensors
            tensors[request, index] = self._tensor(datatype, tuple(dims[:rank]), offset, length)
            places[request, index] = offset
            cursor += layout.TENSOR_RECORD.size
        for _ in range(error_count):
            request, code, offset, length = layout.ERROR_RECORD.unpack_from(self.memory, cursor)
            assert request not in errors
            errors[request] = (code, self.memory[offset : offset + length].decode())
            cursor += layout.ERROR_RECORD.size
        responses = {}
        for _ in range(response_count):
            request, flags, offset, length, count = layout.RESPONSE_RECORD.unpack_from(self.memory, cursor)
            assert request not in responses
            responses[request] = (flags, self._parameters(offset, length, count))
            cursor += layout.RESPONSE_RECORD.size
        assert cursor == message.offset + message.length
        released = bool(message.flags & layout.RELEASED)
        return Answer(tensors, errors, places, released, message, responses)

    def _parameters(self, offset: int, length: int, count: int) -> dict[str, Any]:
        end, parameters = offset + length, {}
        for _ in range(count):
            key_length, kind, value_length = layout.PARAMETER_HEADER.unpack_from(self.memory, offset)
            offset += layout.PARAMETER_HEADER.size
            key = self.memory[offset : offset + key_length].decode()
            offset += key_length
            value = self.memory[offset : offset + value_length]
            offset += value_length
            plain = {layout.PARAMETER_INT: "=q", layout.PARAMETER_BOOL: "=?", layout.PARAMETER_DOUBLE: "=d"}
            parameters[key] = struct.unpack(plain[kind], value)[0] if kind in plain else value.decode()
        assert offset == end
        return parameters

    def _tensor(self, datatype: int, shape: tuple[int, ...], offset: int, length: int) -> Array:
        data = self.memory[offset : offset + length]
        if datatype != dtypes.BYTES.number:
            return np.frombuffer(data, element_dtype(datatype)).reshape(shape).copy()
        count = math.prod(shape)
        assert struct.unpack_from("=BI", data) == (layout.LIST_TAG, count)
        strings, cursor = np.empty(count, object), layout.LIST_HEAD
        for index in range(count):
            tag, size = struct.unpack_from("=BI", data, cursor)
            assert tag == layout.STRING_TAG
            cursor += layout.STRING_HEAD
            strings[index] = data[cursor : cursor + size]
            cursor += size
        assert cursor == length
        return strings.reshape(shape)

    @staticmethod
    def _message(kind: int, slot: int = 0, offset: int = 0, length: int = 0) -> bytes:
        packed: bytes = layout.MESSAGE.pack(kind, 0, slot, offset, length, 0, 0)
        return packed


def _row_count(request: FakeRequest, batching: bool) -> int:
    first = next(iter(request.inputs.values()), None)
    return request.rows if first is None or not batching else len(first)


def _align(offset: int) -> int:
    return -(-offset // layout.TENSOR_ALIGNMENT) * layout.TENSOR_ALIGNMENT
