# SPDX-License-Identifier: Apache-2.0
"""RemoteTriton: functions of this process in a server that it has not started."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytriton.exceptions import (
    PyTritonInvalidOperationError,
    PyTritonModelLoadError,
    PyTritonServerError,
    PyTritonValidationError,
)
from pytriton.server.locate import locate_backends, locate_server
from pytriton.serving import remote_run
from pytriton.triton import RemoteTriton, TritonSecurityConfig
from tests.helpers.gate import Gate, wait_for_queue, wait_until
from tests.helpers.processes import server_of, servers_of
from tests.helpers.server import LOCAL, OPEN, Address, Server, free_ports
from tests.helpers.tls import make_certificates, tls_in_front_of
from tests.helpers.vectors import TIMEOUT_S, Pending, answer, document, gated, outputs, times
from tests.helpers.vectors import vector_model as model

SCHEMES = ["http", "grpc"]


def url_of(address: Address, scheme: str = "http") -> str:
    return f"{scheme}://{LOCAL}:{address.grpc_port if scheme == 'grpc' else address.http_port}"


def is_ready(address: Address) -> bool:
    """Whether the server comes to be ready; it is not for as long as a model is being unloaded."""
    wait_until(lambda: address.get("/v2/health/ready").status == 200, "a server that is ready")
    return True


def ready_models(address: Address) -> list[str]:
    """Versions that take requests, of the models that the tests below use."""
    versions = [(name, version) for name in ("m", "other", "own", "theirs") for version in (1, 2)]
    return [
        f"{name}:{version}"
        for name, version in versions
        if address.get(f"/v2/models/{name}/versions/{version}/ready").status == 200
    ]


class StockServer(Address):
    """A tritonserver that knows nothing of this package."""

    def __init__(self, repository: Path, *options: str) -> None:
        super().__init__(*free_ports(3))
        ports = {"http": self.http_port, "grpc": self.grpc_port, "metrics": self.metrics_port}
        flags = [f"--{name}-port={port}" for name, port in ports.items()]
        flags += [f"--{name}-address={LOCAL}" for name in ports]
        command = [str(locate_server().path), f"--model-repository={repository}", *flags, *options]
        self.process = subprocess.Popen(
            [*command, "--metrics-interval-ms=50"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        """End it."""
        super().close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def stock(leaves_nothing: None, tmp_path: Path) -> Iterator[Callable[..., StockServer]]:
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> StockServer:
            return stack.enter_context(contextlib.closing(StockServer(tmp_path, *options)))

        yield start


EXPLICIT = "--model-control-mode=explicit"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_models_in_the_server_of_a_triton(serve: Callable[..., Server], scheme: str) -> None:
    server = serve(model("own", times(2)))
    with RemoteTriton(url_of(server, scheme)) as remote:
        assert remote.is_alive()
        assert remote.is_connected()
        model("theirs", times(3)).bind_to(remote)
        assert [answer(server, name, 1) for name in ("own", "theirs")] == [[2], [3]]
        assert remote.is_alive()
        assert ready_models(server) == ["own:1", "theirs:1"]
    assert not remote.is_connected()
    assert ready_models(server) == ["own:1"]
    assert is_ready(server)
    assert server.triton.is_alive()


def test_over_https(serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(model("own", times(2)), security_config=TritonSecurityConfig(access_token="word"))
    certificates = make_certificates(tmp_path)
    with tls_in_front_of(server.http_port, certificates) as port:
        stranger = RemoteTriton(f"https://localhost:{port}", access_token="word")
        with pytest.raises(PyTritonServerError, match="certificate verify failed"):
            stranger.connect()
        # As for every program that uses OpenSSL: the authorities that it trusts.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.crt"))
        with RemoteTriton(f"https://localhost:{port}", access_token="word") as remote:
            model("theirs", times(3)).bind_to(remote)
            assert [answer(server, name, 1) for name in ("own", "theirs")] == [[2], [3]]
        assert ready_models(server) == ["own:1"]


def test_bound_before_connect_and_connected_again(serve: Callable[..., Server]) -> None:
    server = serve()
    remote = RemoteTriton(f"{LOCAL}:{server.http_port}")
    assert remote.is_alive()
    model("m", times(2)).bind_to(remote)
    assert not remote.is_alive()
    assert not remote.is_connected()
    for _ in range(2):
        remote.connect()
        remote.connect()
        assert remote.is_alive()
        assert answer(server, "m", 1) == [2]
        assert remote.stop()
        assert not remote.stop()
        assert ready_models(server) == []
    assert not remote._workspace.exists()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("has_backend", [True, False], ids=["backend", "no-backend"])
def test_models_in_a_server_of_nobody(
    stock: Callable[..., StockServer], scheme: str, has_backend: bool
) -> None:
    options = [f"--backend-directory={locate_backends()}"] if has_backend else []
    server = stock(EXPLICIT, *options)
    with RemoteTriton(url_of(server, scheme)) as remote:  # waits until it is there
        model("m", times(2)).bind_to(remote)
        assert is_ready(server)
        model("m", times(3), version=2).bind_to(remote)
        model("other", times(5)).bind_to(remote)
        versions = [server.post(f"/v2/models/m/versions/{number}/infer", document(1)) for number in (1, 2)]
        assert [outputs(reply) for reply in versions] == [[2], [3]]
        assert answer(server, "other", 1) == [5]
    assert ready_models(server) == []
    assert is_ready(server)


def test_versions_swaps_and_unbinding(serve: Callable[..., Server]) -> None:
    server = serve()
    with RemoteTriton(url_of(server)) as remote:
        model("m", times(2)).bind_to(remote)
        gate = Gate()
        gate.shut()
        model("m", gated(gate), version=2).bind_to(remote)
        pending = [Pending(server, "m", 0)]
        gate.wait_for_arrival()
        before = server.get("/v2/models/m/config").json["parameters"]
        swap = threading.Thread(target=lambda: model("m", times(4), version=2).bind_to(remote, replace=True))
        swap.start()
        wait_until(lambda: server.get("/v2/models/m/config").json["parameters"] != before, "the new function")
        assert answer(server, "m", 1) == [4]
        gate.open()
        assert outputs(pending[0].reply()) == [0]
        swap.join()
        assert outputs(server.post("/v2/models/m/versions/1/infer", document(1))) == [2]
        remote.unbind("m", 2)
        assert answer(server, "m", 1) == [2]
        assert ready_models(server) == ["m:1"]
        remote.unbind("m")
        assert ready_models(server) == []
        model("m", times(6)).bind_to(remote)
        assert answer(server, "m", 1) == [6]
        assert is_ready(server)


def test_stop_answers_what_is_in_flight(serve: Callable[..., Server]) -> None:
    server = serve()
    gate = Gate()
    gate.shut()
    remote = RemoteTriton(url_of(server))
    model("m", gated(gate), max_batch_size=1).bind_to(remote)
    remote.connect()
    pending = [Pending(server, "m", 0)]
    gate.wait_for_arrival()
    pending.append(Pending(server, "m", 1))
    wait_for_queue(server, "m", 1)
    stopping = threading.Thread(target=remote.stop)
    stopping.start()
    while server.get("/v2/models/m/ready").status == 200:
        pass
    gate.open()
    assert [outputs(request.reply()) for request in pending] == [[0], [1]]
    stopping.join()


def test_name_of_another_model(serve: Callable[..., Server]) -> None:
    server = serve(model("taken", times(2)))
    with RemoteTriton(url_of(server)) as remote:
        words = r'has a model "taken" already\.'
        with pytest.raises(PyTritonInvalidOperationError, match=words):
            model("taken", times(3)).bind_to(remote)
        model("free", times(3)).bind_to(remote)
        assert [answer(server, name, 1) for name in ("taken", "free")] == [[2], [3]]
        assert remote.is_alive()


@contextlib.contextmanager
def broken_workers() -> Iterator[None]:
    def fail(self: Any) -> Any:
        raise RuntimeError("the worker cannot begin")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytriton.worker.connector.Connector.open", fail)
        with pytest.raises(PyTritonModelLoadError, match="cannot begin"):
            yield


def test_failed_bind_leaves_no_trace(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    monkeypatch.setattr(remote_run, "_ATTACH_TIMEOUT_S", 0.2)
    with RemoteTriton(url_of(server)) as remote:
        for _ in range(2):
            with broken_workers():
                model("m", times(2)).bind_to(remote)
            assert is_ready(server)
            assert remote.is_alive()
            assert ready_models(server) == []
        model("m", times(2)).bind_to(remote)
        with broken_workers():
            model("m", times(3), version=2).bind_to(remote)
        with broken_workers():
            model("m", times(3)).bind_to(remote, replace=True)
        assert is_ready(server)
        assert ready_models(server) == ["m:1"]
        assert answer(server, "m", 1) == [2]
        model("m", times(3), version=2).bind_to(remote)
        assert answer(server, "m", 1) == [3]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_token(serve: Callable[..., Server], scheme: str) -> None:
    server = serve(security_config=TritonSecurityConfig(access_token="right"))
    for token, words in ((None, "give its access_token"), ("wrong", "refuses the access_token given")):
        remote = RemoteTriton(url_of(server, scheme), access_token=token)
        with pytest.raises(PyTritonServerError, match=words):
            remote.connect()
        assert not remote.is_connected()
    with RemoteTriton(url_of(server, scheme), access_token="right") as remote:
        model("m", times(2)).bind_to(remote)
        assert answer(server, "m", 1) == [2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_server(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(remote_run, "DEFAULT_TRITON_STARTUP_TIMEOUT_S", 0)
    (port,) = free_ports(1)
    remote = RemoteTriton(f"{scheme}://{LOCAL}:{port}")
    assert not remote.is_alive()
    with pytest.raises(PyTritonServerError, match=f"server at {scheme}://{LOCAL}:{port} does not answer"):
        remote.connect()
    assert not remote.stop()


def test_server_that_loads_no_models_on_request(stock: Callable[..., StockServer]) -> None:
    server = stock("--model-control-mode=none")
    words = "explicit model load"
    with RemoteTriton(url_of(server)) as remote, pytest.raises(PyTritonModelLoadError, match=words):
        model("m", times(2)).bind_to(remote)


def test_end_of_the_server_ends_serve(stock: Callable[..., StockServer]) -> None:
    server = stock(EXPLICIT)
    remote = RemoteTriton(url_of(server))
    model("m", times(2)).bind_to(remote)
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            remote.serve(monitoring_period_s=0.05)
        except PyTritonServerError as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    wait_until(remote.is_connected, "the server")
    assert answer(server, "m", 1) == [2]
    server.process.kill()
    thread.join()
    assert "does not answer" in str(errors[0])
    assert not remote.is_alive()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_server_that_was_started_again_ends_serve(serve: Callable[..., Server], scheme: str) -> None:
    server = serve(model("own", times(5)), security_config=OPEN)
    remote = RemoteTriton(url_of(server, scheme))
    model("m", times(2)).bind_to(remote)
    remote.connect()
    assert answer(server, "m", 1) == [2]
    killed = server_of(os.getpid())
    os.kill(killed, signal.SIGKILL)

    def is_there_again() -> bool:
        with contextlib.suppress(OSError):
            return servers_of(os.getpid()) not in ([], [killed]) and is_ready(server)
        return False

    wait_until(is_there_again, "a server that is ready again")
    begin = time.monotonic()
    with pytest.raises(PyTritonServerError, match='no longer has model "m": it has been started anew'):
        remote.serve()
    assert time.monotonic() - begin < TIMEOUT_S / 2, "it waited for requests that nobody has"
    assert answer(server, "own", 1) == [5]


@pytest.mark.parametrize("url", ["ftp://a", "http://", "a:b", "http://a:0", "http://a b", "http://a:99999"])
def test_invalid_url(url: str) -> None:
    with pytest.raises(PyTritonValidationError, match="Invalid url"):
        RemoteTriton(url)


# --- with a process of its own ------------------------------------------------------------------------------


@contextlib.contextmanager
def remote_program(server: Server, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that serves in a server of this process, once it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.programs", "serves_in_another_server"],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "PYTRITON_HOME": str(home),
            "REMOTE_URL": url_of(server),
            "REMOTE_TOKEN": server.triton.get_access_token() or "",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        say_until(process, b'log Model "gated"')
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def say_until(process: subprocess.Popen[bytes], words: bytes) -> None:
    """Read what a program says up to a line that starts with these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(words):
            return
    raise AssertionError(f"the program never said {words!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_takes_the_models_out(
    serve: Callable[..., Server], tmp_path: Path, number: signal.Signals
) -> None:
    server = serve(model("own", times(5)), security_config=None)
    with remote_program(server, tmp_path) as program:
        assert answer(server, "double", 1) == [2]
        pending = Pending(server, "gated", 7)
        say_until(program, b"working")
        program.send_signal(number)
        while server.get("/v2/models/gated/ready").status == 200:
            pass
        assert program.stdin is not None
        program.stdin.write(b"\n")
        program.stdin.flush()
        assert outputs(pending.reply()) == [7]
        assert program.wait(TIMEOUT_S) == 0
    assert server.infer("double", document(1)).status != 200
    assert answer(server, "own", 1) == [5]
    assert list(tmp_path.iterdir()) == []


def test_end_of_the_server_is_the_end_of_the_program(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(security_config=None)
    with remote_program(server, tmp_path) as program:
        server.triton.stop()
        assert program.wait(TIMEOUT_S) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_killed_program_fails_only_its_own_models_and_is_replaced(
    serve: Callable[..., Server],
    tmp_path: Path,
    scheme: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve(model("own", times(5)), security_config=None)
    with remote_program(server, tmp_path) as program:
        pending = Pending(server, "gated", 7)
        say_until(program, b"working")
        program.kill()
        assert pending.reply().status == 503
        assert answer(server, "own", 1) == [5]
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path))
    (workspace,) = tmp_path.iterdir()
    with (
        RemoteTriton(url_of(server, scheme), access_token=server.triton.get_access_token()) as remote,
        caplog.at_level(logging.WARNING, "pytriton.triton"),
    ):
        # What its models are known by, for when it is started again.
        assert {path.name for path in workspace.iterdir()} == {".lock", ".owner"}
        for name in ("double", "gated"):
            model(name, times(3)).bind_to(remote)
            assert answer(server, name, 1) == [3]
            assert f'model "{name}" was left behind by a program that was killed' in caplog.text
        with pytest.raises(PyTritonInvalidOperationError, match='has a model "own" already'):
            model("own", times(3)).bind_to(remote)
    assert is_ready(server)
