# SPDX-License-Identifier: Apache-2.0
"""Programs with worker processes: how they are started, and that nothing outlives them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytriton.triton import RemoteTriton
from pytriton.workers import WorkerProcesses
from tests.helpers import worker_models
from tests.helpers.gate import wait_until
from tests.helpers.processes import Watch, servers_of
from tests.helpers.server import LOCAL, TIMEOUT_S, Address, Server, free_ports

_ROOT = str(Path(__file__).parents[2])
_PROGRAM = """
import os, sys, time
import numpy as np
from beside import OFFSET
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from pytriton.workers import WorkerProcesses

print("main", __name__, flush=True)
FACTOR = 10

class Model:
    def __init__(self, start):
        self.start = start

    @batch
    def __call__(self, x):
        if x[0, 0] == 2:
            raise ValueError("two")
        if x[0, 0] == 3:
            sum(range(10**13))  # holds the GIL for hours
        if x[0, 0] == 4:
            os._exit(4)
        if x[0, 0] == 5:
            open("working", "x").close()
            while not os.path.exists("go-on"):
                time.sleep(0.01)
        return [FACTOR * x + self.start + OFFSET]

http, grpc, metrics = map(int, sys.argv[1:4])
config = TritonConfig(http_port=http, grpc_port=grpc, metrics_port=metrics, http_address="127.0.0.1",
                      grpc_address="127.0.0.1", metrics_address="127.0.0.1", metrics_interval_ms=100)
triton = Triton(config=config)
triton.bind("m", Model, [Tensor(name="x", dtype=np.float32, shape=(1,))],
            [Tensor(name="y", dtype=np.float32, shape=(1,))], config=ModelConfig(max_batch_size=1),
            workers=WorkerProcesses(2, args=(1000,), max_restarts=0))
if "fork" in sys.argv:
    triton.run()
    child = os.fork()
    if child == 0:
        import time
        time.sleep(1000)
    print("child", child, flush=True)
triton.run()
print("workers", *[status.pid for status in triton.workers("m")], flush=True)
triton.serve()
"""


class Program:
    """A program that serves."""

    def __init__(self, command: Sequence[str], directory: Path, *options: str) -> None:
        package = directory / "package"
        package.mkdir()
        (directory / "beside.py").write_text("OFFSET = 5\n")
        # A worker starts where the program was started, which is no place to import from.
        elsewhere = directory / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "json.py").write_text("raise RuntimeError('the wrong json')\n")
        for path in (directory / "program.py", package / "serve.py"):
            path.write_text(_PROGRAM)
        ports = free_ports(3)
        self.address = Address(*ports)
        self.process = subprocess.Popen(
            [sys.executable, *command, *map(str, ports), *options],
            cwd=elsewhere if command[0].endswith(".py") else directory,
            env={**os.environ, "PYTRITON_HOME": str(directory / "home"), "PYTHONPATH": _ROOT},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.child = 0
        self.workers: list[Watch] = []
        for line in self.process.stdout:
            word, *rest = line.split()
            if word == "child":
                self.child = int(rest[0])
            if word == "workers":
                self.workers = [Watch(int(pid)) for pid in rest]
                break
        else:
            raise AssertionError(self.process.communicate()[1])
        self.server = Watch(servers_of(self.process.pid)[0])

    def ask(self, x: float) -> tuple[int, str]:
        """Status, and the answer or the error."""
        given = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [x]}
        reply = self.address.infer("m", {"inputs": [given]})
        return reply.status, str(reply.json["outputs"][0]["data"][0]) if reply.status == 200 else reply.error

    def close(self) -> None:
        """End all of it."""
        if self.child:  # it has the pipes too
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
        self.process.kill()
        self.process.communicate()
        for watch in (self.server, *self.workers):
            watch.close()
        self.address.close()


@contextlib.contextmanager
def serving(command: Sequence[str], directory: Path, *options: str) -> Iterator[Program]:
    with contextlib.closing(Program(command, directory, *options)) as program:
        yield program


@pytest.mark.parametrize("command", [["../program.py"], ["-m", "package.serve"], ["-c", _PROGRAM]])
def test_classes_of_main_however_it_is_started(command: list[str], tmp_path: Path) -> None:
    with serving(command, tmp_path) as program:
        assert program.ask(1) == (200, "1015.0")
        status, error = program.ask(2)
        assert status == 500
        assert error.endswith("ValueError: two")
        if command == ["../program.py"]:  # there is a file with the line
            assert 'raise ValueError("two")' in error
        program.process.send_signal(signal.SIGTERM)
        output, _ = program.process.communicate(timeout=TIMEOUT_S)
        assert program.process.returncode == 0
        assert "main" not in output  # in no worker, and here it was read before
        assert all(worker.gone(0) for worker in program.workers)


def test_signals_to_all_processes_at_once(tmp_path: Path) -> None:
    with serving(["../program.py"], tmp_path) as program, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(program.ask, 5)
        wait_until((tmp_path / "elsewhere" / "working").exists, "the request")
        for watch in (program.server, *program.workers):
            watch.kill(signal.SIGTERM)
        program.server.kill(signal.SIGINT)
        program.process.send_signal(signal.SIGTERM)
        while program.address.get("/v2/models/m/ready").status == 200:
            pass
        (tmp_path / "elsewhere" / "go-on").touch()
        assert asked.result(TIMEOUT_S) == (200, "1055.0")
        program.process.communicate(timeout=TIMEOUT_S)
        assert program.process.returncode == 0
        assert program.server.gone(0)
        assert all(worker.gone(0) for worker in program.workers)


def test_killed_program_leaves_nothing(tmp_path: Path) -> None:
    with serving(["../program.py"], tmp_path, "fork") as program:
        # One of the workers holds the GIL, so that no code of ours can run in it.
        asking = threading.Thread(target=_ask_in_vain, args=(program,))
        asking.start()
        wait_until(lambda: any(_is_running(worker.pid) for worker in program.workers), "a busy worker")
        program.process.send_signal(signal.SIGKILL)
        assert all(worker.gone(2) for worker in program.workers)
        assert program.server.gone(2)
        asking.join(TIMEOUT_S)


def _ask_in_vain(program: Program) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        assert program.ask(3)[0] == 503


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"


def test_crash_loop_is_the_exit_status(tmp_path: Path) -> None:
    with serving(["../program.py"], tmp_path) as program:
        assert program.ask(4)[0] == 503
        _, errors = program.process.communicate(timeout=TIMEOUT_S)
        assert program.process.returncode == 1
        last = errors.strip().splitlines()[-1]
        assert last.startswith("pytriton.exceptions.PyTritonRuntimeError: ")
        assert "ended with exit code 4" in last
        assert "max_restarts=0" in last
        assert all(worker.gone(0) for worker in program.workers)
        assert program.server.gone(0)


def test_remote_triton_with_processes(tmp_path: Path) -> None:
    import numpy as np

    from pytriton.model_config import Tensor
    from tests.helpers.server import running

    with running() as server:
        remote = RemoteTriton(f"http://{LOCAL}:{server.http_port}")
        remote.bind(
            "m",
            worker_models.pid_of,
            [Tensor(name="x", dtype=np.float32, shape=(1,))],
            [Tensor(name="pid", dtype=np.int64, shape=(1,))],
            workers=WorkerProcesses(2),
        )
        remote.connect()
        try:
            for count in (2, 3, 1):
                remote.scale("m", count)
                pids = {status.pid for status in remote.workers("m")}
                assert len(pids) == count
                assert _pid(server) in pids
            (pid,) = pids
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: remote.workers("m")[0].pid not in (pid, None), "another one")
            assert _pid(server) != pid
        finally:
            remote.stop()
        assert remote.workers("m") == []


def _pid(server: Server) -> int:
    given = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    return int(server.infer("m", {"inputs": [given]}).json["outputs"][0]["data"][0])


_DAEMON = """
import os, sys
import numpy as np
from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.triton import Triton
from pytriton.workers import WorkerProcesses
from tests.helpers.server import local_config

X = [Tensor(name="x", dtype=np.float32, shape=(1,))]

@batch
def double(x):
    print("heard by nobody", flush=True)
    return {"y": 2 * x}

said = os.dup(1)
for number in range(3):
    os.close(number)
sys.stdout = None
config, address = local_config()
with Triton(config=config) as triton:
    triton.bind("m", double, X, [Tensor(name="y", dtype=np.float32, shape=(1,))], workers=WorkerProcesses())
    with ModelClient(f"http://127.0.0.1:{address.http_port}", "m") as client:
        answer = client.infer_batch(np.ones((1, 1), np.float32))["y"].item()
os.write(said, f"{answer}".encode())
"""


def test_program_without_standard_streams(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTRITON_HOME": str(tmp_path), "PYTHONPATH": _ROOT}
    result = subprocess.run(
        [sys.executable, "-c", _DAEMON], env=environment, stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert result.stdout == b"2.0"
