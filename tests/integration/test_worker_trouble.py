# SPDX-License-Identifier: Apache-2.0
"""Worker processes that fail in every way: what callers hear, and what comes after."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from pytriton.exceptions import PyTritonRuntimeError, PyTritonUnrecoverableError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.supervision.process import WorkerProcess
from pytriton.workers import WorkerProcesses, WorkerState
from tests.helpers import worker_models
from tests.helpers.gate import wait_until
from tests.helpers.server import Model, Server

MOOD = [Tensor(name="mood", dtype=bytes, shape=(1,))]
X = [Tensor(name="x", dtype=np.float32, shape=(1,))]
PID = [Tensor(name="pid", dtype=np.int64, shape=(1,))]
BOTH = [Tensor(name="pid", dtype=np.int64, shape=(2,))]
ALONE = ModelConfig(max_batch_size=1)
_RETRY = "can be sent again"


def say(server: Server, mood: str, model: str = "m") -> tuple[int, str]:
    """Status, and the pid or the error."""
    reply = server.infer(model, {"inputs": [_input("mood", "BYTES", mood)]})
    return reply.status, str(reply.json["outputs"][0]["data"][0]) if reply.status == 200 else reply.error


def _input(name: str, datatype: str, value: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [1, 1], "data": [value]}


def ready(server: Server, count: int = 1) -> bool:
    return [status.state for status in server.triton.workers("m")] == [WorkerState.READY] * count


def moody(server_options: Callable[..., Server], count: int = 1, **options: Any) -> Server:
    workers = WorkerProcesses(count, restart_delay_s=0.01, **options)
    return server_options(Model("m", worker_models.behave, MOOD, PID, ALONE, workers=workers))


@pytest.mark.parametrize("mood", ["sys.exit", "KeyboardInterrupt"])
def test_exceptions_that_end_programs_end_no_worker(serve: Callable[..., Server], mood: str) -> None:
    server = moody(serve)
    pid = say(server, "answer")[1]
    status, error = say(server, mood)
    assert status == 500
    assert error.splitlines()[-1].startswith(("SystemExit: 3", "KeyboardInterrupt"))
    assert say(server, "answer") == (200, pid)
    assert server.triton.workers("m")[0].restarts == 0


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("os._exit", "ended with exit code 3"),
        ("segfault", "was killed by SIGSEGV"),
        ("abort", "was killed by SIGABRT"),
        ("hang", "hangs: the function has been running for more than hang_timeout_s=0.5"),
        ("stop", "hangs: "),
    ],
)
def test_a_process_that_fails_is_replaced(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture, mood: str, why: str
) -> None:
    server = moody(serve, hang_timeout_s=0.5)
    pid = say(server, "answer")[1]
    begin = time.monotonic()
    status, error = say(server, mood)
    assert status == 503
    assert _RETRY in error
    assert time.monotonic() - begin < 5
    # Requests wait for the next one, for as long as that is soon.
    status, other = say(server, "answer")
    assert (status, other != pid) == (200, True), other
    assert server.triton.workers("m")[0].restarts == 1
    assert not Path(f"/proc/{pid}").exists()
    assert f'Worker 0 of model "m" {why}' in caplog.text
    assert server.triton.is_alive()


def test_a_process_is_replaced_once_there_are_descriptors(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = moody(serve)
    pid = say(server, "answer")[1]
    failures = iter([OSError(errno.EMFILE, "Too many open files")] * 2)

    def start(*arguments: Any, **options: Any) -> WorkerProcess:
        for failure in failures:
            raise failure
        return WorkerProcess(*arguments, **options)

    monkeypatch.setattr("pytriton.supervision.pool.WorkerProcess", start)
    assert say(server, "os._exit")[0] == 503
    status, other = say(server, "answer")
    assert (status, other != pid) == (200, True), other
    assert 'Worker 0 of model "m" cannot be started: OSError: [Errno 24] Too many open files' in caplog.text


@pytest.mark.parametrize("kind", [RuntimeError, KeyError])
def test_a_log_handler_that_raises_ends_no_supervision(
    serve: Callable[..., Server], capsys: pytest.CaptureFixture[str], kind: type[Exception]
) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise kind("of the handler")

    handler = Handler(logging.ERROR)
    server = moody(serve)
    pid = say(server, "answer")[1]
    logging.getLogger("pytriton").addHandler(handler)
    try:
        assert say(server, "os._exit")[0] == 503
        assert say(server, "answer") != (200, pid)
        assert say(server, "segfault")[0] == 503
        assert say(server, "answer")[0] == 200
    finally:
        logging.getLogger("pytriton").removeHandler(handler)
    assert server.triton.workers("m")[0].restarts == 2
    assert "of the handler" in capsys.readouterr().err


def test_closed_descriptors_fail_one_batch(serve: Callable[..., Server]) -> None:
    server = moody(serve, 1)
    status, error = say(server, "close descriptors")
    assert (status, _RETRY in error) == (503, True)
    assert say(server, "answer")[0] == 200
    (worker,) = server.triton.workers("m")
    begin = time.monotonic()
    server.triton.stop()
    assert time.monotonic() - begin < 5
    assert not Path(f"/proc/{worker.pid}").exists()


@pytest.mark.parametrize("batches_in_flight", [1, 4])
def test_a_loop_without_descriptors_is_not_used_again(
    serve: Callable[..., Server], batches_in_flight: int
) -> None:
    config = ModelConfig(max_batch_size=1, batches_in_flight=batches_in_flight)
    workers = WorkerProcesses(1, restart_delay_s=0.01)
    server = serve(Model("m", worker_models.behave_in_a_loop, MOOD, PID, config, workers=workers))
    before = say(server, "answer")[1]
    status, error = say(server, "close descriptors")
    assert (status, _RETRY in error) == (503, True)
    status, after = say(server, "answer")
    assert (status, after != before) == (200, True)


def test_over_grpc_the_error_is_unavailable(serve: Callable[..., Server]) -> None:
    from tritonclient.grpc import InferInput

    server = moody(serve)
    given = InferInput("mood", [1, 1], "BYTES")
    given.set_data_from_numpy(np.array([[b"os._exit"]], np.object_))
    with pytest.raises(InferenceServerException) as caught:
        server.grpc_client.infer("m", [given])
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert _RETRY in str(caught.value)


def test_blocked_signals_keep_nobody_from_ending_it(serve: Callable[..., Server]) -> None:
    server = moody(serve)
    assert say(server, "block signals")[0] == 200
    (status,) = server.triton.workers("m")
    begin = time.monotonic()
    server.triton.stop()
    assert time.monotonic() - begin < 5
    assert not Path(f"/proc/{status.pid}").exists()


def test_forks_of_a_function_end_with_it(serve: Callable[..., Server]) -> None:
    server = moody(serve)
    assert say(server, "fork")[0] == 200
    assert say(server, "answer")[0] == 200
    (status,) = server.triton.workers("m")
    assert status.pid is not None
    group = _group(status.pid)
    assert len(group) > 1
    os.kill(status.pid, signal.SIGKILL)
    wait_until(lambda: ready(server) and server.triton.workers("m")[0].restarts == 1, "another one")
    wait_until(lambda: not _group(group[0]), "the end of the group")


def _group(leader: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.getpgid(int(entry.name)) == leader:
                    members.append(int(entry.name))
            except ProcessLookupError:
                continue
    return members


def test_children_of_a_function_hear_sigterm(serve: Callable[..., Server]) -> None:
    server = moody(serve)
    pid = say(server, "answer")[1]
    assert say(server, "terminate children") == (200, pid)


def test_an_unrecoverable_error_ends_serving(serve: Callable[..., Server]) -> None:
    server = moody(serve)
    assert say(server, "unrecoverable")[0] == 500
    with pytest.raises(PyTritonRuntimeError, match="the GPU has gone") as caught:
        server.triton.serve()
    assert isinstance(caught.value.__cause__, PyTritonUnrecoverableError)


def test_a_crash_loop_ends_serving(serve: Callable[..., Server], tmp_path: Path) -> None:
    mood = tmp_path / "mood"
    mood.write_text("answer")
    workers = WorkerProcesses(1, args=(mood,), max_restarts=3, restart_delay_s=0.01)
    server = serve(Model("m", worker_models.Moody, X, PID, workers=workers))
    mood.write_text("segfault")
    (status,) = server.triton.workers("m")
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    expected = r"(?s)Worker 0 of model \"m\" was killed by SIGSEGV.*4 times in a row.*max_restarts=3"
    with pytest.raises(PyTritonRuntimeError, match=expected):
        server.triton.serve()
    assert not server.triton.is_alive()


@pytest.mark.parametrize(
    "health_check", ["is_healthy", worker_models.Unhealthy.is_healthy, "is_healthy_async"]
)
@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("ill", "is not healthy: it returned False"),
        ("raise", "I feel unwell"),
        ("hang", "did not end its health check within 0.5 s"),
    ],
)
def test_health_checks(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture, health_check: Any, mood: str, why: str
) -> None:
    workers = WorkerProcesses(
        1,
        health_check=health_check,
        health_check_period_s=0.05,
        health_check_timeout_s=0.5,
        restart_delay_s=0,
    )
    server = serve(Model("m", worker_models.Unhealthy, MOOD, PID, ALONE, workers=workers))
    assert say(server, "well")[0] == 200
    assert say(server, mood)[0] == 200
    wait_until(lambda: server.triton.workers("m")[0].restarts == 1 and ready(server), "another one")
    assert why in caplog.text
    assert say(server, "well")[0] == 200


def test_kill_under_load_fails_only_what_was_held(serve: Callable[..., Server]) -> None:
    server = serve(
        Model("m", worker_models.slow_pid, X, BOTH, ModelConfig(max_batch_size=4), workers=WorkerProcesses(2))
    )
    kills = 5
    over = threading.Event()
    failures: list[str] = []
    answers = [0] * 32

    def ask_on(number: int) -> None:
        document = {"inputs": [_input("x", "FP32", number)]}
        while not over.is_set():
            reply = server.infer("m", document)
            if reply.status == 200:
                assert reply.json["outputs"][0]["data"][1] == number
                answers[number] += 1
            else:
                failures.append(f"{reply.status} {reply.error}")

    with ThreadPoolExecutor(32) as pool:
        asking = [pool.submit(ask_on, number) for number in range(32)]
        try:
            wait_until(lambda: sum(answers) > 50, "answers")
            for kill in range(kills):
                index = kill % 2
                (pid,) = [status.pid for status in server.triton.workers("m") if status.index == index]
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                done = sum(answers)
                wait_until(
                    lambda pid=pid: (
                        ready(server, 2)  # type: ignore[misc]
                        and pid not in [status.pid for status in server.triton.workers("m")]
                    ),
                    "another one",
                )
                wait_until(lambda done=done: sum(answers) > done + 50, "more answers")  # type: ignore[misc]
        finally:
            over.set()
        for future in asking:
            future.result(20)
    assert all("503" in failure and _RETRY in failure for failure in failures)
    assert len(failures) <= kills * 4
    assert sum(status.restarts for status in server.triton.workers("m")) == kills


def readiness(server: Server) -> list[bool]:
    paths = [
        "/v2/models/m/ready",
        "/v2/models/m/versions/1/ready",
        "/v2/health/ready",
        "/v2/models/other/ready",
    ]
    client = server.grpc_client
    over_grpc = [client.is_model_ready("m"), client.is_server_ready(), client.is_model_ready("other")]
    return [*(server.get(path).status == 200 for path in paths), *over_grpc]


def test_a_model_without_workers_is_not_ready(serve: Callable[..., Server], tmp_path: Path) -> None:
    mood = tmp_path / "mood"
    mood.write_text("answer")
    workers = WorkerProcesses(1, args=(mood,), restart_delay_s=0)
    server = serve(
        Model("m", worker_models.Moody, X, PID, ALONE, workers=workers),
        Model("other", worker_models.pid_of, X, PID),
    )
    assert all(readiness(server))
    mood.write_text("hang")
    for expected in ([False, False, False, True, False, False, True], [True] * 7):
        (status,) = server.triton.workers("m")
        assert status.pid is not None
        os.kill(status.pid, signal.SIGKILL)
        wait_until(lambda expected=expected: readiness(server) == expected, "the truth")  # type: ignore[misc]
        assert server.get("/v2/health/live").status == 200
        mood.write_text("answer")


def test_without_any_worker_requests_wait_and_then_are_refused(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    mood = tmp_path / "mood"
    mood.write_text("answer")
    workers = WorkerProcesses(1, args=(mood,), restart_delay_s=0)
    server = serve(Model("m", worker_models.Moody, X, PID, ALONE, workers=workers))
    mood.write_text("hang")
    (status,) = server.triton.workers("m")
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    wait_until(lambda: server.triton.workers("m")[0].state is WorkerState.STARTING, "the next one")
    # The server has seen by itself that the first one is gone.
    wait_until(lambda: server.get("/v2/models/m/ready").status != 200, "a model without workers")
    reply = server.infer("m", {"inputs": [_input("x", "FP32", 1.0)]})
    assert reply.status == 503
    assert "the model has no worker" in reply.error
    assert _RETRY in reply.error
