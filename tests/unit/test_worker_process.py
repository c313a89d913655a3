# SPDX-License-Identifier: Apache-2.0
"""Worker processes that cannot be started: nothing of them is left."""

from __future__ import annotations

import errno
import gc
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytriton.exceptions import PyTritonRuntimeError
from pytriton.supervision.pool import ProcessWorkers
from pytriton.supervision.process import WorkerProcess, memory_file
from pytriton.worker.pool import WorkerSpec
from pytriton.workers import WorkerProcesses
from tests.helpers.serving import describe_model


@pytest.fixture
def file() -> Iterator[int]:
    gc.collect()  # what other tests have left to it has descriptors
    descriptor = memory_file(b"")
    yield descriptor
    os.close(descriptor)


def start(file: int, **environment: str) -> WorkerProcess:
    return WorkerProcess("worker", 0, file, file, environment=environment, beats=False)


@contextmanager
def leaving_no_descriptors() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    # Threads of other tests may be closing theirs; none may have come.
    assert set(os.listdir("/proc/self/fd")) <= before


def fail(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize(
    ("module", "name"),
    [(os, "memfd_create"), (os, "pipe"), (socket, "socketpair"), (subprocess, "Popen"), (os, "pidfd_open")],
)
def test_without_descriptors(file: int, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    with leaving_no_descriptors(), monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(PyTritonRuntimeError, match=r"cannot be run with .*: \[Errno 24\] Too many"):
            start(file)


@pytest.mark.parametrize(
    ("module", "name"), [(os, "memfd_create"), (os, "eventfd"), (selectors, "DefaultSelector")]
)
def test_pool_without_descriptors(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    spec = WorkerSpec(describe_model(), "nowhere")
    gc.collect()
    with leaving_no_descriptors(), monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(
            PyTritonRuntimeError, match=r'model "m": worker processes cannot be run: .* Too many'
        ):
            ProcessWorkers(spec, b"", WorkerProcesses(1), 1)


def test_variables_that_are_none(file: int) -> None:
    with leaving_no_descriptors(), pytest.raises(ValueError, match="null byte"):
        start(file, A="x\0y")


def test_in_a_directory_that_has_been_removed(
    file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    os.chdir(gone)
    try:
        gone.rmdir()
        process = start(file)
    finally:
        os.chdir(here)
    process.kill()
    assert "SIGKILL" in process.reap()


def test_a_fork_of_a_fork_keeps_its_own_files(file: int) -> None:
    process = start(file)
    child = os.fork()
    if child == 0:
        sys.unraisablehook = lambda _: os._exit(2)  # what a handler of forks raises
        own = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]  # under the numbers that have become free
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(sum(not os.path.exists(f"/proc/self/fd/{descriptor}") for descriptor in own) > 0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        process.kill()
        process.reap()
