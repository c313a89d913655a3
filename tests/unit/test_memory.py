# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import os
import re
import threading
from collections.abc import Callable, Iterator
from mmap import mmap
from sys import getrefcount
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.request import Array
from pytriton.worker.memory import Leases, Segment, address_of

SIZE = 1 << 20
BLOCK = 4096

KEEPERS: dict[str, Callable[[Array], Any]] = {
    "the array": lambda array: array,
    "a view": lambda array: array[1:],
    "a view of a view": lambda array: array[1:].T[1:],
    "another dtype": lambda array: array.view(np.int32)[1:],
    "a subclass": lambda array: array.view(np.recarray)[1:],
    "a memoryview": lambda array: array.data,
    "a slice of a memoryview": lambda array: array[1:].data[1:],
    "asarray of a memoryview": lambda array: np.asarray(array.data),
    "frombuffer": lambda array: np.frombuffer(array, np.uint8),
    "dlpack": np.from_dlpack,
    "an iterator": lambda array: array.flat,
    "rows": list,
    "strides": lambda array: np.lib.stride_tricks.as_strided(array, (2, 2), (4, 4)),
    "broadcast": lambda array: np.broadcast_to(array, (3, 4, 4)),
}


@pytest.fixture
def segment() -> Iterator[Segment]:
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, SIZE)
    yield Segment(descriptor, SIZE)
    os.close(descriptor)


@pytest.fixture
def released() -> list[int]:
    return []


@pytest.fixture
def leases(released: list[int]) -> Leases:
    return Leases(released.append)


def tensor(exporter: Array) -> Array:
    return np.ndarray((4, 4), np.dtype(np.float32), exporter, 64)


def test_segment_is_writable_at_its_address(segment: Segment) -> None:
    array: Array = np.ndarray((4,), np.uint8, segment.memory, 128)
    assert address_of(array) == segment.address + 128
    array[:] = 7
    assert segment.memory[128:132] == b"\7\7\7\7"


def test_segment_must_be_as_long_as_said() -> None:
    descriptor = os.memfd_create("test")
    try:
        with pytest.raises(ValueError, match="length"):
            Segment(descriptor, SIZE)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_whatever_keeps_memory_in_use_refers_to_its_exporter(
    keep: Callable[[Array], Any], segment: Segment
) -> None:
    exporter = segment.export(BLOCK, BLOCK)
    alone = getrefcount(exporter)
    kept = keep(tensor(exporter))
    gc.collect()
    assert getrefcount(exporter) > alone
    del kept
    assert getrefcount(exporter) == alone


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_released_by_the_last_reference(
    keep: Callable[[Array], Any], segment: Segment, leases: Leases, released: list[int]
) -> None:
    exporter = segment.export(BLOCK, BLOCK)
    kept = keep(tensor(exporter))
    leases.keep(7, exporter)
    assert len(leases) == 1
    del exporter
    gc.collect()
    assert released == []
    del kept
    assert released == [7]
    assert len(leases) == 0


def test_not_released_before_the_result_is_sent(
    segment: Segment, leases: Leases, released: list[int]
) -> None:
    exporter = segment.export(BLOCK, BLOCK)
    array = tensor(exporter)
    leases.keep(0, exporter)
    del array
    assert released == []
    del exporter
    assert released == [0]


def test_the_garbage_collector_releases(segment: Segment, leases: Leases, released: list[int]) -> None:
    exporter = segment.export(BLOCK, BLOCK)
    cycle: list[Any] = [tensor(exporter)]
    cycle.append(cycle)
    leases.keep(0, exporter)
    del cycle, exporter
    assert released == []
    gc.collect()
    assert released == [0]


def test_slots_are_independent(segment: Segment, leases: Leases, released: list[int]) -> None:
    arrays = [segment.export(BLOCK, BLOCK) for _ in range(3)]
    for slot in range(3):
        leases.keep(slot, arrays[slot])
    del arrays[1]
    assert released == [1]
    del arrays[:]
    assert sorted(released) == [0, 1, 2]


def test_exactly_once_whatever_the_threads(segment: Segment) -> None:
    """The last array goes in another thread at the very time when the result is sent."""
    released: list[int] = []
    leases = Leases(released.append)
    rounds = 2000
    handed: list[Array] = []
    start, done = threading.Barrier(2), threading.Barrier(2)

    def drop() -> None:
        for _ in range(rounds):
            start.wait()
            handed.clear()
            done.wait()

    thread = threading.Thread(target=drop)
    thread.start()
    for slot in range(rounds):
        exporter = segment.export(0, BLOCK)
        handed.append(tensor(exporter))
        leases.keep(slot, exporter)
        start.wait()
        del exporter
        done.wait()
    thread.join()
    assert released == list(range(rounds))
    assert len(leases) == 0


def test_arrays_outlive_the_connection(segment: Segment, leases: Leases, released: list[int]) -> None:
    exporter = segment.export(BLOCK, BLOCK)
    array = tensor(exporter)
    leases.keep(0, exporter)
    array[:] = 5
    leases.forget()
    del leases, segment, exporter
    gc.collect()
    assert array.sum() == 80
    del array
    assert released == []


def test_memory_is_unmapped_with_the_last_array() -> None:
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, SIZE)
    inode = os.fstat(descriptor).st_ino

    def mapped() -> bool:
        with open("/proc/self/maps", encoding="ascii") as maps:
            return any(line.split()[4] == str(inode) and "memfd:test" in line for line in maps)

    segment = Segment(descriptor, SIZE)
    os.close(descriptor)
    assert isinstance(segment.memory, mmap)
    array = tensor(segment.export(0, BLOCK))
    del segment
    assert mapped()
    del array
    assert not mapped()


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (None, "Cannot allocate memory; let workers have less with"),
        (1 << 30, "limited to 1073741824 bytes (RLIMIT_AS, ulimit -v); raise that, or let workers have less"),
    ],
)
def test_no_room_for_a_segment(monkeypatch: pytest.MonkeyPatch, limit: int | None, why: str) -> None:
    monkeypatch.setattr("pytriton.worker.memory.address_space_limit", lambda: limit)
    descriptor = os.memfd_create("test")
    try:
        os.ftruncate(descriptor, 1 << 60)
        with pytest.raises(PyTritonRuntimeError, match=f"room for the {1 << 60} bytes.*{re.escape(why)}"):
            Segment(descriptor, 1 << 60)
    finally:
        os.close(descriptor)


def test_a_limit_is_named_where_it_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytriton.worker.memory.address_space_limit", lambda: 1 << 30)
    with pytest.raises(PyTritonRuntimeError, match="Bad file descriptor; let workers have less with"):
        Segment(1 << 30, SIZE)
