# SPDX-License-Identifier: Apache-2.0
"""Functions in processes of their own: how they get there, what they are told, how many there are."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.exceptions import (
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonValidationError,
)
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.model_config.warmup import ModelWarmup, WarmupInput
from pytriton.workers import WorkerProcesses, WorkerState
from tests.helpers import worker_models
from tests.helpers.clients import Array
from tests.helpers.gate import wait_until
from tests.helpers.server import Model, Server, running

X = [Tensor(name="x", dtype=np.float32, shape=(1,))]
Y = [Tensor(name="y", dtype=np.float32, shape=(1,))]
PID = [Tensor(name="pid", dtype=np.int64, shape=(1,))]
ABOUT = [Tensor(name="about", dtype=bytes, shape=(1,))]
ONE = np.ones((1, 1), np.float32)


def pids(server: Server, model: str) -> set[int]:
    return {status.pid for status in server.triton.workers(model) if status.pid is not None}


def ask(server: Server, model: str, x: Array = ONE) -> dict[str, Array]:
    with ModelClient(server.url, model) as client:
        return client.infer_batch(x)


def test_class_with_arguments_devices_and_environment(
    serve: Callable[..., Server],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    caplog.set_level(logging.INFO)
    workers = WorkerProcesses(devices=[0, 1], kwargs={"factor": 2.5}, env={"MINE": "yours"})
    server = serve(Model("m", worker_models.Built, X, ABOUT, workers=workers))
    statuses = server.triton.workers("m")
    assert [(status.index, status.device, status.state) for status in statuses] == [
        (0, 0, WorkerState.READY),
        (1, 1, WorkerState.READY),
    ]
    answers: dict[int, list[str]] = {}
    while len(answers) < 2:  # whichever is free answers
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(lambda _: ask(server, "m"), range(8)):
                pid, *rest, _calls = answer["about"][0, 0].decode().split()
                answers[int(pid)] = rest
    assert answers == {
        statuses[0].pid: ["2.5", "0", "6", "yours"],
        statuses[1].pid: ["2.5", "1", "7", "yours"],
    }
    built = [(record.levelno, record.message) for record in caplog.records if record.name == "tests.built"]
    assert sorted(built) == [(logging.INFO, "built 2.5 on 0"), (logging.INFO, "built 2.5 on 1")]
    assert {f"printed by {pid}" for pid in pids(server, "m")} <= set(capfd.readouterr().out.splitlines())


@pytest.mark.smoke
def test_function_factory_and_object(serve: Callable[..., Server]) -> None:
    factor = 3

    @batch
    def of_here(x: Array) -> list[Array]:
        return [factor * x]

    scaler = WorkerProcesses(factory=True, args=(2.0,), kwargs={"offset": 1.0})
    server = serve(
        Model("function", worker_models.pid_of, X, PID, workers=WorkerProcesses()),
        Model("closure", of_here, X, Y, workers=WorkerProcesses()),
        Model("factory", worker_models.make_scaler, X, Y, workers=scaler),
        Model("object", worker_models.Built(4.0), X, ABOUT, workers=WorkerProcesses()),
    )
    assert int(ask(server, "function")["pid"][0, 0]) in pids(server, "function")
    assert ask(server, "closure")["y"].tolist() == [[3.0]]
    assert ask(server, "factory")["y"].tolist() == [[3.0]]
    assert ask(server, "object")["about"][0, 0].split()[1] == b"4.0"


def test_much_to_send(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.ones(50_000_000, np.uint8)

    @batch
    def sizes(x: Array) -> list[Array]:
        return [np.full_like(x, len(sys.argv[-1]) + table.sum())]

    class Keeper:
        def __init__(self, given: Array) -> None:
            self._sum = given.sum()

        @batch
        def __call__(self, x: Array) -> list[Array]:
            return [np.full_like(x, self._sum)]

    monkeypatch.setattr(sys, "argv", ["program", "a" * 8_000_000])
    server = serve(
        Model("closure", sizes, X, Y, workers=WorkerProcesses()),
        Model("argument", Keeper, X, Y, workers=WorkerProcesses(args=[table])),
    )
    assert ask(server, "closure")["y"].tolist() == [[58_000_000]]
    assert ask(server, "argument")["y"].tolist() == [[50_000_000]]


def test_each_process_does_all_warmup_requests_before_it_is_ready(serve: Callable[..., Server]) -> None:
    warmup = ModelWarmup(
        name="w",
        batch_size=1,
        inputs={"x": WarmupInput(dtype=np.float32, shape=(1,), zero_data=True)},
        count=3,
    )
    config = ModelConfig(max_batch_size=4, model_warmup=[warmup])
    workers = WorkerProcesses(1, args=(1.0,))
    server = serve(Model("m", worker_models.Built, X, ABOUT, config, workers=workers))
    assert ask(server, "m")["about"][0, 0].split()[-1] == b"4"


def test_streams(serve: Callable[..., Server]) -> None:
    config = ModelConfig(max_batch_size=1, decoupled=True)
    server = serve(Model("m", worker_models.count_up, X, Y, config, workers=WorkerProcesses(2)))
    reply = server.post("/v2/models/m/generate_stream", {"x": [5.0]})
    assert reply.status == 200
    assert [line for line in reply.body.decode().split("\n") if '"y":' in line][-1].count("4.0") == 1
    assert reply.body.decode().count('"y":') == 5


def test_workers_share_the_queue_and_batches_stay_whole(serve: Callable[..., Server]) -> None:
    config = ModelConfig(max_batch_size=8, batcher=DynamicBatcher(max_queue_delay_microseconds=200_000))
    workers = WorkerProcesses(2)
    server = serve(Model("m", worker_models.pid_of, X, PID, config, workers=workers))
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: int(ask(server, "m")["pid"][0, 0]), range(64)))
    assert set(answers) <= pids(server, "m")
    statistics = server.statistics("m")
    assert int(statistics["inference_count"]) == 64
    assert int(statistics["execution_count"]) <= 16


def test_workers_come_and_go_under_load(serve: Callable[..., Server]) -> None:
    server = serve(Model("m", worker_models.pid_of, X, PID, workers=WorkerProcesses(1)))
    over = threading.Event()
    seen: set[int] = set()

    def ask_on(_: int) -> int:
        with ModelClient(server.url, "m") as client:
            count = 0
            while not over.is_set():
                seen.add(int(client.infer_batch(ONE)["pid"][0, 0]))
                count += 1
            return count

    with ThreadPoolExecutor(8) as pool:
        counts = [pool.submit(ask_on, number) for number in range(8)]
        try:
            for count in (3, 1, 2, 1):
                server.triton.scale("m", count)
                statuses = server.triton.workers("m")
                assert [status.index for status in statuses] == list(range(count))
                assert all(status.state is WorkerState.READY for status in statuses)
                now = pids(server, "m")
                wait_until(lambda now=now: now <= seen, "an answer of each")  # type: ignore[misc]
                seen.clear()
        finally:
            over.set()
        assert all(future.result(20) > 0 for future in counts)
    statistics = server.statistics("m")["inference_stats"]
    assert "count" not in statistics["fail"] or int(statistics["fail"]["count"]) == 0


def test_a_worker_that_leaves_finishes_its_batch(serve: Callable[..., Server], tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"

    @batch
    def wait(x: Array) -> list[Array]:
        (tmp_path / str(os.getpid())).touch()
        while not go_on.exists():
            time.sleep(0.01)
        return [x]

    config = ModelConfig(max_batch_size=1)
    server = serve(Model("m", wait, X, Y, config, workers=WorkerProcesses(2)))
    seven = np.full((1, 1), 7, np.float32)
    with ThreadPoolExecutor(3) as pool:
        try:
            held = [pool.submit(ask, server, "m", seven) for _ in range(2)]
            wait_until(lambda: len(list(tmp_path.iterdir())) == 2, "a batch for each")
            scaled = pool.submit(server.triton.scale, "m", 1)
            wait_until(
                lambda: server.triton.workers("m")[1].state is WorkerState.LEAVING, "a worker that leaves"
            )
            assert not scaled.done()
        finally:
            go_on.touch()
        scaled.result(20)
        assert [future.result(20)["y"].tolist() for future in held] == [[[7.0]], [[7.0]]]
    assert len(server.triton.workers("m")) == 1


def test_scale_before_the_server_runs_and_what_cannot_be_scaled(serve: Callable[..., Server]) -> None:
    server = serve(
        Model("threads", worker_models.pid_of, X, PID),
        Model("m", worker_models.pid_of, X, PID, workers=WorkerProcesses(1)),
    )
    with pytest.raises(PyTritonInvalidOperationError, match="threads, one for each function"):
        server.triton.scale("threads", 2)
    with pytest.raises(PyTritonInvalidOperationError, match='Model "n" version 1 is not bound'):
        server.triton.scale("n", 2)
    for count in (0, -1, 1.5, True, None):
        with pytest.raises(PyTritonValidationError, match="1 or more"):
            server.triton.scale("m", count)  # type: ignore[arg-type]
    assert server.triton.workers("threads") == []


def test_hot_swap_and_unbind(serve: Callable[..., Server]) -> None:
    server = serve(Model("m", worker_models.Built, X, ABOUT, workers=WorkerProcesses(2, args=(1.0,))))
    before = pids(server, "m")
    new = Model("m", worker_models.Built, X, ABOUT, workers=WorkerProcesses(1, args=(2.0,)))
    new.bind_to(server.triton, replace=True)
    assert ask(server, "m")["about"][0, 0].split()[1] == b"2.0"
    assert not before & pids(server, "m")
    assert not any(Path(f"/proc/{pid}").exists() for pid in before)
    (pid,) = pids(server, "m")
    server.triton.unbind("m")
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "what", ["raise", "sys.exit", "os._exit", "segfault", "hang", "memory", "not callable"]
)
def test_construction_that_fails_is_the_error_of_bind(serve: Callable[..., Server], what: str) -> None:
    expected = {
        "raise": "ValueError: no such weights",
        "sys.exit": "SystemExit: 3",
        "os._exit": "ended with exit code 3",
        "segfault": "killed by SIGSEGV",
        "hang": "was not ready within start_timeout_s=2",
        "memory": "MemoryError",
        "not callable": "cannot be called: 5",
    }[what]
    server = serve(Model("good", worker_models.pid_of, X, PID, workers=WorkerProcesses()))
    workers = WorkerProcesses(2, factory=True, args=(what,), start_timeout_s=2 if what == "hang" else 30)
    with pytest.raises(PyTritonModelLoadError, match=f'(?s)model "m".*{expected}'):
        Model("m", worker_models.broken_constructor, X, Y, workers=workers).bind_to(server.triton)
    # No harm to others.
    assert ask(server, "good")["pid"].shape == (1, 1)
    assert server.get("/v2/health/ready").status == 200


def test_stop_while_a_model_is_scaled(serve: Callable[..., Server], tmp_path: Path) -> None:
    mood = tmp_path / "mood"
    mood.write_text("answer")
    server = serve(Model("m", worker_models.Moody, X, PID, workers=WorkerProcesses(1, args=(mood,))))
    mood.write_text("hang")
    with ThreadPoolExecutor(1) as pool:
        scaling = pool.submit(server.triton.scale, "m", 2)
        wait_until(lambda: len(server.triton.workers("m")) == 2, "a process that hangs")
        server.triton.stop()
        with pytest.raises(PyTritonModelLoadError, match="stopped before they were warm"):
            scaling.result(20)


@pytest.fixture(scope="module")
def empty() -> Iterator[Server]:
    with running() as server:
        yield server


def test_what_cannot_be_sent_is_named(empty: Server) -> None:
    lock = threading.Lock()

    @batch
    def uses_lock(x: Array) -> list[Array]:
        with lock:
            return [x]

    cases: list[tuple[Any, WorkerProcesses, str]] = [
        (uses_lock, WorkerProcesses(), r'infer_func .*uses "lock".*cannot pickle'),
        (
            worker_models.Built,
            WorkerProcesses(args=(lock,)),
            r"args\[0\] .*cannot be sent to a worker process",
        ),
        (worker_models.Built, WorkerProcesses(kwargs={"factor": lock}), r"kwargs\['factor'\] "),
        (worker_models.Built, WorkerProcesses(args=(1,), health_check=lambda _: lock), "health_check"),
        (worker_models.pid_of, WorkerProcesses(args=(1,)), "factory=True"),
        (worker_models.Built, WorkerProcesses(), "missing a required argument: 'factor'"),
        (worker_models.Built, WorkerProcesses(args=(1,), kwargs={"color": b"x" * 10_000}), "color"),
        (worker_models.Built, WorkerProcesses(args=([lock, b"x" * 10_000],)), r"args\[0\] "),
        ([worker_models.pid_of], WorkerProcesses(), "must be one function, class or factory"),
        (worker_models.pid_of, 3, r"workers must be WorkerProcesses\(\.\.\.\), got 3"),  # type: ignore[list-item]
    ]
    for function, workers, expected in cases:
        with pytest.raises(PyTritonValidationError, match=f'(?s)model "m": .*{expected}') as caught:
            Model("m", function, X, Y, workers=workers).bind_to(empty.triton)
        assert len(str(caught.value)) < 2000


def test_modules_that_are_not_there(empty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("made_up_here")
    exec("def function(requests): return []", module.__dict__)
    monkeypatch.setitem(sys.modules, "made_up_here", module)
    function = module.__dict__["function"]
    with pytest.raises(PyTritonModelLoadError, match=r"(?s)have to be importable there.*|No module named"):
        Model("m", function, X, Y, workers=WorkerProcesses()).bind_to(empty.triton)


def test_nothing_of_the_application_is_in_a_process(serve: Callable[..., Server]) -> None:
    server = serve(Model("m", worker_models.pid_of, X, PID, workers=WorkerProcesses(2)))
    for pid in pids(server, "m"):
        targets = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        files = [target for target in targets if "memfd:pytriton" in target and "pytriton-payload" in target]
        assert files == []
        assert os.getpgid(pid) == pid
