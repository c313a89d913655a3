# SPDX-License-Identifier: Apache-2.0
"""Triton without a server: the process and the workers are stand-ins."""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.exceptions import (
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonRuntimeError,
    PyTritonServerError,
    PyTritonValidationError,
)
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from pytriton.server import command
from pytriton.server.control import Op
from pytriton.server.locate import ServerBinary
from pytriton.server.ports import Endpoint
from pytriton.server.repository import ModelRepository
from pytriton.server.supervisor import ServerSupervisor
from pytriton.serving import at_exit, functions, server_run
from pytriton.triton import RestartPolicy, Triton, TritonConfig, TritonLifecyclePolicy, TritonSecurityConfig

INPUTS = [Tensor(dtype=np.float32, shape=(-1,))]
OUTPUTS = [Tensor(dtype=np.float32, shape=(-1,))]


class World:
    """What the stand-ins were asked, in order, and what they shall answer."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.processes: list[FakeProcess] = []
        self.workers: list[FakeWorkers] = []
        self.load_errors: dict[str, Exception] = {}
        self.start_error: Exception | None = None
        self.hanging_loads = False
        self.hanging_releases: list[Future[str]] | None = None
        self.drain: Callable[[], None] = lambda: None

    @property
    def process(self) -> FakeProcess:
        return self.processes[-1]

    def loaded(self) -> list[str]:
        return [event for event in self.events if event.startswith("LOAD")]


class FakeControl:
    def __init__(self, world: World) -> None:
        self.world = world
        self.hanging: dict[str, Future[str]] = {}

    def submit(self, op: Op, model: str = "") -> Future[str]:
        self.world.events.append(f"{op.name} {model}")
        reply: Future[str] = Future()
        if op is Op.LOAD and self.world.hanging_loads:
            self.hanging[model] = reply
            return reply
        if op is Op.UNLOAD and model in self.hanging:
            self.hanging.pop(model).set_exception(PyTritonModelLoadError("given up"))
        error = self.world.load_errors.get(model) if op is Op.LOAD else None
        if op is Op.BEGIN_UNLOAD:
            self.world.drain()
        if op is Op.AWAIT_RELEASE and self.world.hanging_releases is not None:
            self.world.hanging_releases.append(reply)
            return reply
        if op is Op.CUT_OFF:
            for hanging in self.world.hanging_releases or ():
                hanging.set_result("3")
        if error is None:
            reply.set_result("")
        else:
            reply.set_exception(error)
        return reply

    def load(self, model: str, _timeout_s: float) -> None:
        self.world.events.append(f"LOAD again {model}")

    def unload(self, model: str, _timeout_s: float) -> None:
        self.submit(Op.UNLOAD, model).result()

    def begin_unload(self, model: str, _timeout_s: float) -> None:
        self.submit(Op.BEGIN_UNLOAD, model).result()


class FakeProcess:
    world: World

    def __init__(
        self,
        command: Sequence[str],
        endpoints: Sequence[Endpoint],
        *,
        environment: dict[str, str],
        log_file: Path | None,
        on_exit: Callable[[], None],
    ) -> None:
        self.command = list(command)
        self.environment = environment
        self.on_exit = on_exit
        self.alive = False
        self.control = FakeControl(self.world)
        self.world.processes.append(self)

    def start(self) -> None:
        self.world.events.append("start")
        if self.world.start_error is not None:
            raise self.world.start_error
        self.alive = True

    def is_alive(self) -> bool:
        return self.alive

    def wait_quiet(self, _timeout_s: float) -> bool:
        self.world.events.append("quiet")
        return True

    def stop(self, *, has_work: bool) -> None:
        self.world.events.append("stop, it has work" if has_work else "stop")
        self.alive = False

    def kill(self) -> None:
        self.world.events.append("kill")
        self.alive = False

    def complaint(self, word: str) -> str:
        return f"complaint about {word}"

    def why_ended(self) -> str:
        return "The server is gone."

    def ended_error(self) -> PyTritonServerError:
        return PyTritonServerError(self.why_ended())

    def die(self) -> None:
        self.alive = False
        self.on_exit()

    def option(self, flag: str) -> list[str]:
        return [argument.partition("=")[2] for argument in self.command if argument.startswith(flag + "=")]


class FakeWorkers:
    world: World

    def __init__(
        self,
        spec: Any,
        functions: Sequence[Callable[..., Any]],
        on_failure: Callable[[BaseException], object],
    ) -> None:
        self.on_failure = on_failure
        self.spec = spec
        self.functions = functions
        self.running = False
        self.failure: BaseException | None = None
        self.world.workers.append(self)

    def start(self) -> None:
        self.world.events.append(f"workers of {self.spec.model.model_name}")
        self.running = True

    def wait_warm(self) -> None:
        assert self.running

    def stop(self, _timeout_s: float) -> bool:
        self.world.events.append(f"no workers of {self.spec.model.model_name}")
        self.running = False
        return True

    def is_alive(self) -> bool:
        return self.running


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    made = World()
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(FakeProcess, "world", made, raising=False)
    monkeypatch.setattr(FakeWorkers, "world", made, raising=False)
    monkeypatch.setattr(server_run, "ServerProcess", FakeProcess)
    monkeypatch.setattr(
        server_run, "locate_server", lambda server: ServerBinary(Path(server or "/bundled/tritonserver"))
    )
    monkeypatch.setattr(command, "locate_backends", lambda: Path("/backends"))
    monkeypatch.setattr(functions, "ThreadWorkers", FakeWorkers)
    yield made
    at_exit.stop_running()


def function(requests: list[Any]) -> list[Any]:
    return requests


def bind(server: Triton, name: str, **options: Any) -> None:
    server.bind(name, options.pop("infer_func", function), INPUTS, OUTPUTS, **options)


def test_class_without_processes() -> None:
    class Doubler:
        def __call__(self, requests: list[Any]) -> list[Any]:
            return requests

    with pytest.raises(PyTritonValidationError, match=r"infer_func is the class .*Doubler; bind an"):
        Triton().bind("m", Doubler, INPUTS, OUTPUTS)


def test_models_bound_before_run(world: World) -> None:
    server = Triton()
    bind(server, "a")
    bind(server, "b")
    assert world.events == []
    assert (server.is_alive(), server.is_connected()) == (False, False)
    server.run()
    assert world.events == [
        "start",
        "UNLOAD pytriton_bootstrap",
        "workers of a",
        "workers of b",
        "LOAD a",
        "LOAD b",
    ]
    assert (server.is_alive(), server.is_connected()) == (True, True)
    assert server.stop()
    sockets = [workers.spec.socket_path for workers in world.workers]
    assert world.events[6:] == [
        "BEGIN_END ",
        "BEGIN_UNLOAD a",
        "BEGIN_UNLOAD b",
        *(f"AWAIT_RELEASE {path}" for path in sockets),
        "quiet",
        "stop",
        "no workers of a",
        "no workers of b",
    ]
    assert (server.is_alive(), server.is_connected(), server.stop()) == (False, False, False)


def test_models_bound_after_run(world: World) -> None:
    with Triton() as server:
        bind(server, "a")
        assert world.loaded() == ["LOAD a"]
        assert server.is_alive()


def test_files_are_there_when_the_model_is_loaded(world: World) -> None:
    with Triton() as server:
        store = Path(world.process.option("--model-repository")[0])
        assert not any(store.iterdir())
        bind(server, "a", model_version=3, infer_func=[function, function])
        text = (store / "a" / "3" / "binding").read_text(encoding="utf-8")
        assert "workers 2\n" in text
        assert f"socket {world.workers[0].spec.socket_path}\n" in text
        assert len(world.workers[0].functions) == 2
        assert world.process.environment["PYTRITON_WORKSPACE"] == str(store.parent)
    assert not store.parent.exists()


def test_failed_bind_leaves_no_trace(world: World) -> None:
    with Triton() as server:
        bind(server, "good")
        store = Path(world.process.option("--model-repository")[0])
        world.load_errors["bad"] = PyTritonModelLoadError("no")
        with pytest.raises(PyTritonModelLoadError, match="no"):
            bind(server, "bad")
        assert world.events[-4:] == ["LOAD bad", "no workers of bad", "LOAD again bad", "UNLOAD bad"]
        assert [entry.name for entry in store.iterdir()] == ["good"]
        assert server.is_alive()
        world.load_errors.clear()
        bind(server, "bad")
        assert server.is_alive()


def no_files(*_: object) -> Any:
    raise OSError(errno.EMFILE, "Too many open files")


def die_of_want(*_: object) -> Any:
    raise PyTritonServerError("The server is gone.")


@pytest.mark.parametrize("replaced", [False, True])
def test_failed_bind_leaves_no_worker(world: World, monkeypatch: pytest.MonkeyPatch, replaced: bool) -> None:
    with Triton() as server:
        bind(server, "good")
        for owner, name, fault in (
            (ModelRepository, "save", no_files),
            (ServerSupervisor, "steady", die_of_want),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, fault)
                with pytest.raises((OSError, PyTritonServerError)):
                    bind(server, "good" if replaced else "bad", replace=replaced)
            assert [workers.running for workers in world.workers] == [True] + [False] * len(world.workers[1:])
        assert len(world.workers) == 3
        bind(server, "good" if replaced else "bad", replace=replaced)
        assert server.is_alive()


def test_failed_unbind_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with Triton() as server:
        bind(server, "a")
        with monkeypatch.context() as patch:
            patch.setattr(ModelRepository, "remove", no_files)
            with pytest.raises(OSError, match="Too many"):
                server.unbind("a")
        assert [config.model_name for config in server.models] == ["a"]
        assert world.workers[0].running
        server.unbind("a")
        assert not world.workers[0].running


def test_failed_run_leaves_nothing_running(world: World) -> None:
    server = Triton()
    bind(server, "good")
    bind(server, "bad")
    world.load_errors["bad"] = PyTritonModelLoadError("no")
    with pytest.raises(PyTritonModelLoadError, match="no"):
        server.run()
    assert not world.process.alive
    assert not any(workers.running for workers in world.workers)
    assert not server.is_alive()
    world.load_errors.clear()
    server.run()
    assert server.is_alive()


def test_failed_start(world: World) -> None:
    server = Triton()
    world.start_error = PyTritonServerError("port taken")
    with pytest.raises(PyTritonServerError, match="port taken"):
        server.run()
    assert not server.stop()
    world.start_error = None
    server.run()


def test_workers_that_fail_while_the_model_is_loaded(world: World) -> None:
    with Triton() as server:
        world.hanging_loads = True

        def fail() -> None:
            while not world.loaded():
                time.sleep(0.001)
            world.workers[0].on_failure(RuntimeError("rejected"))

        thread = threading.Thread(target=fail)
        thread.start()
        with pytest.raises(PyTritonModelLoadError, match='worker of model "a" has ended: rejected'):
            bind(server, "a")
        thread.join()
        assert world.events[-4:] == ["no workers of a", "UNLOAD a", "LOAD again a", "UNLOAD a"]


def test_configuration_that_the_server_refuses(world: World) -> None:
    with Triton() as server:
        world.load_errors["bad"] = PyTritonModelLoadError("failed to poll")
        with pytest.raises(PyTritonModelLoadError, match="failed to poll: complaint about 'bad'"):
            bind(server, "bad")


def test_bound_twice(world: World) -> None:
    server = Triton()
    bind(server, "Abc")
    for name in ("Abc", "aBC"):
        with pytest.raises(PyTritonInvalidOperationError, match="Cannot add model with the same name twice"):
            bind(server, name)
    bind(server, "abc", model_version=2)


def test_versions_are_loaded_together(world: World) -> None:
    server = Triton()
    bind(server, "a", model_version=1)
    bind(server, "a", model_version=2)
    server.run()
    assert world.loaded() == ["LOAD a"]
    bind(server, "a", model_version=3)
    assert world.loaded() == ["LOAD a", "LOAD a"]
    with pytest.raises(PyTritonInvalidOperationError, match="differs from version 1 in max_batch_size"):
        bind(server, "a", model_version=4, config=ModelConfig(max_batch_size=5))


def test_versions_differ_before_run(world: World) -> None:
    server = Triton()
    bind(server, "a")
    with pytest.raises(PyTritonInvalidOperationError, match=r'model "a" version 2: .* max_batch_size'):
        bind(server, "a", model_version=2, config=ModelConfig(max_batch_size=5))
    bind(server, "b", model_version=2, config=ModelConfig(max_batch_size=5))


def test_replaced_and_unbound_before_run(world: World) -> None:
    server = Triton()
    for name in ("a", "b", "c"):
        bind(server, name)
    bind(server, "a", infer_func=[function, function], replace=True)
    server.unbind("b")
    with pytest.raises(PyTritonInvalidOperationError, match=r"Bound are: a version 1, c version 1\."):
        server.unbind("b")
    server.run()
    assert world.loaded() == ["LOAD a", "LOAD c"]
    assert len(world.workers[0].functions) == 2


def test_replaced_while_it_serves(world: World) -> None:
    with Triton() as server:
        bind(server, "a")
        old_socket = world.workers[0].spec.socket_path
        world.events.clear()
        bind(server, "a", replace=True)
        assert world.events == [
            "workers of a",
            "LOAD a",
            f"AWAIT_RELEASE {old_socket}",
            "no workers of a",
        ]
        assert [workers.running for workers in world.workers] == [False, True]
        assert world.workers[1].spec.socket_path != old_socket


def test_version_is_unbound_while_another_serves(world: World) -> None:
    with Triton() as server:
        bind(server, "a")
        bind(server, "a", model_version=2)
        store = Path(world.process.option("--model-repository")[0])
        world.events.clear()
        server.unbind("a", 2)
        assert world.events == [
            "LOAD again a",
            f"AWAIT_RELEASE {world.workers[1].spec.socket_path}",
            "no workers of a",
        ]
        assert sorted(path.name for path in (store / "a").iterdir()) == ["1", "config.pbtxt"]
        world.events.clear()
        server.unbind("a")
        assert world.events == [
            "BEGIN_UNLOAD a",
            f"AWAIT_RELEASE {world.workers[0].spec.socket_path}",
            "no workers of a",
        ]
        assert not any(store.iterdir())
        assert server.is_alive()


def test_replacement_that_fails(world: World) -> None:
    with Triton() as server:
        bind(server, "a")
        store = Path(world.process.option("--model-repository")[0])
        before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
        text = (store / "a" / "1" / "binding").read_text(encoding="utf-8")
        world.load_errors["a"] = PyTritonModelLoadError("no")
        with pytest.raises(PyTritonModelLoadError, match="no"):
            bind(server, "a", replace=True)
        assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
        assert (store / "a" / "1" / "binding").read_text(encoding="utf-8") == text
        assert [workers.running for workers in world.workers] == [True, False]
        assert server.is_alive()


def test_version_that_cannot_be_added(world: World) -> None:
    with Triton() as server:
        bind(server, "a")
        world.load_errors["a"] = PyTritonModelLoadError("no")
        world.events.clear()
        with pytest.raises(PyTritonModelLoadError, match="no"):
            bind(server, "a", model_version=2)
        # Once so that it fails and counts as unloaded, and once as it was.
        assert world.events == [
            "workers of a",
            "LOAD a",
            "no workers of a",
            "LOAD again a",
            "LOAD again a",
        ]
        assert [workers.running for workers in world.workers] == [True, False]


def test_requests_that_take_too_long_are_failed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    server = Triton(config=TritonConfig(exit_timeout_secs=0))
    bind(server, "a")
    server.run()
    world.hanging_releases = []
    socket = world.workers[0].spec.socket_path
    assert server.stop()
    assert world.events[-6:] == [
        "BEGIN_UNLOAD a",
        f"AWAIT_RELEASE {socket}",
        f"CUT_OFF {socket}",
        "quiet",
        "stop",
        "no workers of a",
    ]
    assert '3 requests of model "a" version 1 had no answer within the limit of 0 s and failed' in caplog.text


def test_run_again(world: World) -> None:
    server = Triton()
    bind(server, "a")
    server.run()
    server.run()
    assert len(world.processes) == 1
    server.stop()
    bind(server, "b")
    server.run()
    assert len(world.processes) == 2
    assert world.loaded() == ["LOAD a", "LOAD a", "LOAD b"]
    server.stop()


def test_run_again_after_the_server_died(world: World) -> None:
    server = Triton(restart_policy=RestartPolicy(max_restarts=0))
    bind(server, "a")
    server.run()
    world.process.die()
    assert not server.is_alive()
    server.run()
    assert server.is_alive()
    assert len(world.processes) == 2


@pytest.mark.parametrize(
    ("infer_func", "message"),
    [
        ("text", "must be a function or a sequence"),
        (None, "must be a function or a sequence"),
        ([], "is empty"),
        ([function, 3], r"infer_func\[1\] must be a function, got 3"),
    ],
)
def test_functions_are_checked(world: World, infer_func: Any, message: str) -> None:
    with pytest.raises(PyTritonValidationError, match=f'model "a".*{message}'):
        bind(Triton(), "a", infer_func=infer_func)


def test_arguments_are_checked(world: World) -> None:
    server = Triton()
    with pytest.raises(PyTritonValidationError, match="Model name can only contain"):
        bind(server, "a/b")
    with pytest.raises(PyTritonValidationError, match="expected a Tensor"):
        server.bind("a", function, [1], OUTPUTS)  # type: ignore[list-item]
    with pytest.raises(PyTritonValidationError, match="config must be a ModelConfig"):
        bind(server, "a", config={"max_batch_size": 4})
    bind(server, "a", config=ModelConfig(batching=False))


def test_command(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRITON_TRITON_CONFIG_HTTP_PORT", "9000")
    monkeypatch.setenv("PYTRITON_TRITON_CONFIG_GRPC_PORT", "9001")
    config = TritonConfig(
        grpc_port=9002, http_address="::1", exit_timeout_secs=7, cache_config=["local,size=1 2"]
    )
    with Triton(config=config, server="/mine", workspace=tmp_path / "ws"):
        command = world.process.command
        assert command[0] == "/mine"
        for expected in (
            f"--model-repository={tmp_path}/ws/model-store",
            "--model-control-mode=explicit",
            "--load-model=pytriton_bootstrap",
            "--backend-directory=/backends",
            "--http-port=9000",
            "--grpc-port=9002",
            "--http-address=ipv6:::1",
            "--exit-timeout-secs=0",
            "--cache-config=local,size=1 2",
        ):
            assert expected in command
        (restriction,) = world.process.option("--http-restricted-api")
        assert restriction.startswith(
            "shared-memory,model-repository,statistics,trace,logging:triton-access-t"
        )
        assert world.process.environment == {"PYTRITON_WORKSPACE": "", "PYTRITON_REQUESTS_PER_MODEL": "8192"}


def test_repository_of_the_user(world: World) -> None:
    with Triton(config=TritonConfig(model_repository=Path("/models"), exit_timeout_secs=7)):
        assert world.process.option("--model-repository")[1:] == ["/models"]
        assert world.process.option("--load-model") == ["*"]
        assert world.process.option("--exit-timeout-secs") == ["7"]
    assert world.events[-1] == "stop, it has work"


def test_traces_are_waited_for(world: World) -> None:
    with Triton(config=TritonConfig(trace_config=["mode=triton"])):
        pass
    assert world.events[-1] == "stop, it has work"


def test_bundled_cache_directory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = ServerBinary(Path("/bundled"), Path("/caches"))
    monkeypatch.setattr(server_run, "locate_server", lambda _: bundled)
    with Triton():
        assert world.process.option("--cache-directory") == ["/caches"]
    with Triton(config=TritonConfig(cache_directory="/other")):
        assert world.process.option("--cache-directory") == ["/other"]


def test_security(world: World) -> None:
    security = TritonSecurityConfig(access_token="t", restricted_endpoints=["trace", "logging"])
    with Triton(config=TritonConfig(http_restricted_api="x:y=z"), security_config=security) as server:
        assert server.get_access_token() == "t"
        restriction = ["trace,logging:triton-access-token=t"]
        assert world.process.option("--http-restricted-api") == restriction
        assert world.process.option("--grpc-restricted-protocol") == restriction
    with pytest.raises(PyTritonValidationError, match="Invalid endpoint names: a, b"):
        TritonSecurityConfig(restricted_endpoints=["b", "trace", "a"])
    assert len(TritonSecurityConfig().access_token or "") == 43
    with pytest.raises(PyTritonValidationError, match="access_token is empty"):
        Triton(security_config=TritonSecurityConfig(access_token=""))
    Triton(security_config=TritonSecurityConfig(access_token="", restricted_endpoints=[]))


def test_lifecycle_policy(world: World) -> None:
    policy = TritonLifecyclePolicy(launch_triton_on_startup=False)
    with Triton(triton_lifecycle_policy=policy) as server:
        assert not server.is_alive()
        with pytest.raises(PyTritonInvalidOperationError, match=r"call run\(\)"):
            server.connect()
        server.run()
        server.connect()
        assert server.is_alive()
    with Triton(config=TritonConfig(allow_vertex_ai=True)) as server:
        assert not server.is_alive()


def test_given_workspace_must_not_exist(world: World, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        Triton(workspace=tmp_path)


def test_endpoints_and_verbose_logs_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Triton(config=TritonConfig(log_verbose=1)) as server:
        bind(server, "a")
        assert "POST http://127.0.0.1:8000/v2/models/a/infer" in caplog.text
        assert "is running with enabled verbose logs" in caplog.text
        caplog.clear()
    assert "is running with enabled verbose logs" in caplog.text


class Serving:
    """serve() in the main thread, and something that ends it from another."""

    def __init__(self, world: World, server: Triton, action: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

        def act() -> None:
            while not server.is_connected():
                time.sleep(0.001)
            action()

        thread = threading.Thread(target=act)
        thread.start()
        try:
            server.serve(monitoring_period_s=60)
        except BaseException as error:
            self.error = error
        thread.join()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert not server.is_alive()
        assert not world.process.alive
        assert not any(workers.running for workers in world.workers)


def interrupt_main_thread(number: signal.Signals) -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_serve(world: World, number: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    server = Triton()
    bind(server, "a")
    with caplog.at_level(logging.INFO):
        assert Serving(world, server, lambda: interrupt_main_thread(number)).error is None
    assert f"{number.name} received" in caplog.text
    assert "BEGIN_UNLOAD a" in world.events


def test_own_handler_of_the_program_stays(world: World) -> None:
    server = Triton()
    bind(server, "a")
    before = signal.signal(signal.SIGTERM, lambda *_: server.stop() and None)
    try:
        serving = Serving(world, server, lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert serving.error is None


def test_second_signal_does_not_wait(world: World, caplog: pytest.LogCaptureFixture) -> None:
    server = Triton()
    bind(server, "a")

    def interrupt_drain() -> None:
        if "LOAD a" in world.events:
            raise KeyboardInterrupt

    world.drain = interrupt_drain
    serving = Serving(world, server, lambda: interrupt_main_thread(signal.SIGINT))
    assert isinstance(serving.error, SystemExit)
    assert serving.error.code == 130
    assert "SIGINT received while stopping: " in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert "kill" in world.events


def test_stop_from_another_thread_ends_serve(world: World) -> None:
    server = Triton()
    bind(server, "a")
    assert Serving(world, server, lambda: (server.stop(), None)[1]).error is None


def test_server_that_dies_is_started_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with Triton() as server:
        bind(server, "a")
        bind(server, "b")
        first, store = world.process, Path(world.process.option("--model-repository")[0])
        world.events.clear()
        shutil.rmtree(store.parent)
        first.die()
        assert server.is_alive()
        # Waits for the restart, and is not part of what it loads.
        bind(server, "c")
        events = [event for event in world.events if event != "workers of c"]
        assert events == ["kill", "start", "UNLOAD pytriton_bootstrap", "LOAD c"]
        assert world.process is not first
        assert world.process.option("--load-model") == ["*"]
        texts = [(store / name / "1" / "binding").read_text(encoding="utf-8") for name in "abc"]
        assert ["resumed 1" in text for text in texts] == [True, True, False]
        assert f"socket {world.workers[0].spec.socket_path}\n" in texts[0]
        assert Path(world.workers[0].spec.socket_path).parent.exists()
        assert [workers.running for workers in world.workers] == [True] * 3
        assert server.is_alive()
    assert "The server is gone. It is started again now, for the 1. of at most 5 times" in caplog.text


def test_restarts_that_fail_are_a_crash_loop(world: World, caplog: pytest.LogCaptureFixture) -> None:
    server = Triton(restart_policy=RestartPolicy(max_restarts=3, delay_s=0.001))
    bind(server, "a")

    def die() -> None:
        world.start_error = PyTritonServerError("port taken")
        world.process.die()

    error = Serving(world, server, die).error
    assert isinstance(error, PyTritonServerError)
    assert "port taken It has been started again 3 times within 60 s and is not any more" in str(error)
    assert world.events.count("start") == 4
    assert str(error) in caplog.text


def test_stop_while_the_server_is_started_again(world: World) -> None:
    server = Triton(restart_policy=RestartPolicy(delay_s=60, max_delay_s=60))
    bind(server, "a")
    server.run()
    world.start_error = PyTritonServerError("port taken")
    world.process.die()
    while world.events.count("start") < 2:
        time.sleep(0.001)
    assert server.is_alive()
    assert server.stop()
    assert not server.is_alive()
    assert [thread.name for thread in threading.enumerate() if "restart" in thread.name] == []


def test_others_do_not_wait_for_a_model_that_is_drained(world: World) -> None:
    with Triton() as server:
        for name in ("a", "b"):
            bind(server, name)
        world.hanging_releases = []
        draining = [
            threading.Thread(target=server.unbind, args=("a",)),
            threading.Thread(target=bind, args=(server, "b"), kwargs={"replace": True}),
        ]
        for thread in draining:
            thread.start()
        while len(world.hanging_releases) < 2:
            time.sleep(0.001)
        bind(server, "a")
        bind(server, "c")
        assert all(thread.is_alive() for thread in draining)
        for reply in world.hanging_releases:
            reply.set_result("0")
        for thread in draining:
            thread.join()
        world.hanging_releases = None
        assert [workers.running for workers in world.workers] == [False, False, True, True, True]


def test_death_of_the_server_ends_serve(world: World, caplog: pytest.LogCaptureFixture) -> None:
    server = Triton(restart_policy=RestartPolicy(max_restarts=0))
    bind(server, "a")
    error = Serving(world, server, lambda: world.process.die()).error
    assert isinstance(error, PyTritonServerError)
    assert "The server is gone." in caplog.text


def test_death_of_workers_ends_serve(world: World) -> None:
    server = Triton()
    bind(server, "a")

    def die() -> None:
        world.workers[0].failure = error = ValueError("unrecoverable")
        world.workers[0].running = False
        world.workers[0].on_failure(error)

    error = Serving(world, server, die).error
    assert isinstance(error, PyTritonRuntimeError)
    assert 'model "a" ended: unrecoverable' in error.message


def test_serve_in_another_thread(world: World) -> None:
    server = Triton()
    thread = threading.Thread(target=server.serve)
    thread.start()
    while not server.is_connected():
        time.sleep(0.001)
    assert server.stop()
    thread.join()


def test_forgotten_object_is_collected(world: World) -> None:
    server = Triton()
    workspace = server._workspace.path
    reference = weakref.ref(server)
    del server
    gc.collect()
    assert reference() is None
    assert not workspace.exists()


def test_what_runs_is_stopped_at_exit(world: World) -> None:
    server = Triton()
    bind(server, "a")
    server.run()
    at_exit.stop_running()
    assert not server.is_alive()
    assert not world.process.alive


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_stops_nothing(world: World) -> None:
    server = Triton()
    server.run()
    child = os.fork()
    if child == 0:
        os._exit(int(server.stop() or world.events[-1] == "stop"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    server.stop()


def test_bind_takes_what_is_as_good_as_what_it_wants() -> None:
    """Numbers that were computed, versions out of files, tensors of a dict."""
    tensors = {"x": Tensor(name="x", dtype=np.float32, shape=(1,))}
    second: Any = 1e6
    policy = QueuePolicy(default_timeout_microseconds=second, max_queue_size=second / 1e5)
    batcher = DynamicBatcher(max_queue_delay_microseconds=0.005 * second, default_queue_policy=policy)
    config = ModelConfig(max_batch_size=second / 125_000, batcher=batcher)
    given: Any = (
        "m",
        lambda requests: requests,
        tensors.values(),
        (t for t in tensors.values()),
        "2",
        config,
    )
    triton = Triton()
    triton.bind(*given)
    (model,) = triton.models
    assert (model.model_version, model.max_batch_size) == (2, 8)
    assert model.batcher is not None
    numbers = (
        batcher.max_queue_delay_microseconds,
        policy.default_timeout_microseconds,
        policy.max_queue_size,
    )
    assert numbers == (5000, 1_000_000, 10)
    assert all(type(number) is int for number in (*numbers, model.max_batch_size))
    assert [spec.name for spec in (*(model.inputs or ()), *(model.outputs or ()))] == ["x", "x"]
