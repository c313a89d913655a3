# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from pytriton.decorators import batch
from pytriton.request import Array
from pytriton.worker import layout
from pytriton.worker.connector import WorkerRejected
from pytriton.worker.pool import ThreadWorkers, WorkerSpec
from tests.helpers.fake_backend import FakeBackend
from tests.helpers.serving import describe_model, requests_of

ROW = np.zeros((1, 4), np.float32)


def adding(number: int) -> Any:
    return batch(lambda INPUT_1: [INPUT_1 + number])


def test_one_worker_for_each_function(tmp_path: Path) -> None:
    workers = ThreadWorkers(WorkerSpec(describe_model(), str(tmp_path / "s")), [adding(1), adding(2)])
    assert not workers.is_alive()
    workers.start()
    assert workers.is_alive()
    assert {"pytriton-m-0", "pytriton-m-1"} <= {thread.name for thread in threading.enumerate()}
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("pytriton-m-"))
    backend = FakeBackend(tmp_path / "s")
    links = [backend.attach(), backend.attach()]
    answers = [link.infer(requests_of(ROW), ["INPUT_1"]).output() for link in links]
    assert sorted(answer.max() for answer in answers) == [1, 2]
    assert workers.bytes_copied == 2 * ROW.nbytes
    assert workers.stop(20)
    assert not workers.is_alive()
    assert workers.failure is None
    backend.close()


def test_stop_before_start_and_before_anybody_listens(tmp_path: Path) -> None:
    spec = WorkerSpec(describe_model(), str(tmp_path / "s"))
    assert ThreadWorkers(spec, [adding(1)]).stop(20)
    workers = ThreadWorkers(spec, [adding(1)])
    workers.start()
    assert workers.stop(20)
    assert workers.stop(20)


def test_stop_leaves_a_function_that_does_not_return(tmp_path: Path) -> None:
    called, resume = threading.Event(), threading.Event()

    @batch
    def stuck(INPUT_1: Array) -> Any:
        called.set()
        resume.wait(20)
        return [INPUT_1]

    backend = FakeBackend(tmp_path / "s")
    workers = ThreadWorkers(WorkerSpec(describe_model(), str(tmp_path / "s")), [stuck])
    workers.start()
    backend.attach().execute(requests_of(ROW), ["INPUT_1"])
    assert called.wait(20)
    assert not workers.stop(0)
    resume.set()
    assert workers.stop(20)
    backend.close()


def test_stop_from_within_the_function(tmp_path: Path) -> None:
    stopped = threading.Event()

    @batch
    def stopping(INPUT_1: Array) -> Any:
        assert workers.stop(20)
        stopped.set()
        return [INPUT_1]

    backend = FakeBackend(tmp_path / "s")
    workers = ThreadWorkers(WorkerSpec(describe_model(), str(tmp_path / "s")), [stopping])
    workers.start()
    backend.attach().execute(requests_of(ROW), ["INPUT_1"])
    assert stopped.wait(20)
    assert workers.stop(20)
    backend.close()


def test_rejected_worker_is_a_failure(tmp_path: Path) -> None:
    noted = threading.Event()
    alive: list[bool] = []

    def note(error: BaseException) -> None:
        alive.append(workers.is_alive())  # whoever is woken up by this asks at once
        noted.set()

    backend = FakeBackend(tmp_path / "s")
    workers = ThreadWorkers(WorkerSpec(describe_model(), str(tmp_path / "s")), [adding(1)], note)
    workers.start()
    connection = backend.accept()
    connection.send(layout.MESSAGE.pack(layout.REJECT, 0, 0, 0, 0, 0, 0) + b"because")
    assert noted.wait(20)
    assert isinstance(workers.failure, WorkerRejected)
    assert alive == [False]
    assert workers.stop(20)
    assert not workers.is_alive()
    connection.close()
    backend.close()
