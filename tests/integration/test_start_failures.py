# SPDX-License-Identifier: Apache-2.0
"""Servers and models that cannot start: soon an exception that says why, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytriton import _native
from pytriton.exceptions import (
    PyTritonError,
    PyTritonModelLoadError,
    PyTritonServerError,
    PyTritonValidationError,
)
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.triton import Triton, TritonConfig
from tests.helpers.processes import children
from tests.helpers.server import LOCAL, Address, Server, local_config, running
from tests.helpers.vectors import answer, echo, times, vector_model

# About a second where the server's metrics thread has begun to sleep; the rest is for a busy machine.
SOON_S = 4.0


def quick_config(**options: Any) -> tuple[TritonConfig, Address]:
    """A server that ends sooner: it waits for its metrics thread, even if it has failed."""
    return local_config(**{"metrics_interval_ms": 50, **options})


@contextlib.contextmanager
def failing(error: type[PyTritonError], *words: str) -> Iterator[None]:
    """A block that fails soon with these words, and leaves no process of its own."""
    before = children(os.getpid())
    begin = time.monotonic()
    with pytest.raises(error) as caught:
        yield
    assert time.monotonic() - begin < SOON_S
    for word in words:
        assert word in str(caught.value)
    assert children(os.getpid()) == before


def start_and_fail(triton: Triton, *words: str, error: type[PyTritonError] = PyTritonServerError) -> None:
    workspace = triton._workspace.path
    with failing(error, *words):
        triton.run()
    assert not workspace.exists()
    assert not triton.is_alive()
    assert not triton.is_connected()
    assert triton.stop() is False


# --- ports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["http", "grpc", "metrics"])
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
def test_port_of_another_program(endpoint: str, shared: bool) -> None:
    with socket.create_server((LOCAL, 0), reuse_port=shared) as other:
        port = other.getsockname()[1]
        config, _ = quick_config(**{f"{endpoint}_port": port})
        start_and_fail(Triton(config=config), f"port {port} is taken", f"TritonConfig({endpoint}_port=...)")
        # Nobody has even tried to talk to it.
        assert select.select([other], [], [], 0)[0] == []


def test_port_of_another_server() -> None:
    with running(vector_model("m", times(2))) as first:
        config, _ = local_config(http_port=first.http_port)
        second = Triton(config=config)
        vector_model("m", times(3)).bind_to(second)
        vector_model("mine", times(3)).bind_to(second)
        start_and_fail(second, f"HTTP port {first.http_port} is taken")
        assert answer(first, "m", 1) == [2]
        assert [entry["name"] for entry in first.post("/v2/repository/index", {}).json] == ["m"]


def test_the_same_port_twice() -> None:
    config, address = quick_config()
    config.grpc_port = address.http_port
    triton = Triton(config=config)
    start_and_fail(triton, "http_port and grpc_port are both", error=PyTritonValidationError)


def test_address_of_another_machine() -> None:
    config, address = quick_config(http_address="192.0.2.1")
    words = f"HTTP cannot listen on 192.0.2.1 port {address.http_port}: Cannot assign"
    start_and_fail(Triton(config=config), words)


def test_name_of_no_machine() -> None:
    config, _ = quick_config(http_address="no-such-host.invalid")
    start_and_fail(Triton(config=config), "http_address is 'no-such-host.invalid'")


def test_start_after_the_port_was_freed() -> None:
    config, address = quick_config()
    triton = Triton(config=config)
    vector_model("m", times(2)).bind_to(triton)
    with socket.create_server((LOCAL, address.http_port)):
        start_and_fail(triton, f"HTTP port {address.http_port} is taken")
    with triton:
        assert answer(address, "m", 1) == [2]


# --- the server itself ------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Make an executable of a shell script."""

    def make(text: str, mode: int = 0o755) -> Path:
        path = tmp_path / "tritonserver"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return make


def test_server_that_is_missing(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    start_and_fail(Triton(server=missing), str(missing), "is not a file")


def test_server_of_the_environment_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRITON_TRITONSERVER", "/nowhere/tritonserver")
    start_and_fail(Triton(), "PYTRITON_TRITONSERVER='/nowhere/tritonserver'", "is not a file")


def test_server_that_is_not_executable(program: Callable[..., Path]) -> None:
    start_and_fail(Triton(server=program("#!/bin/sh\n", 0o644)), "is not executable", "chmod +x")


def test_server_that_is_no_program(program: Callable[..., Path]) -> None:
    start_and_fail(Triton(server=program("\x7f nonsense")), "cannot be run", "Exec format error")


def test_server_that_says_nothing(program: Callable[..., Path]) -> None:
    start_and_fail(Triton(server=program("#!/bin/sh\nexit 7\n")), "ended with exit code 7.")


def test_server_that_says_why(program: Callable[..., Path]) -> None:
    script = "#!/bin/sh\necho starting\necho 'no licence found' >&2\nkill -SEGV $$\n"
    start_and_fail(Triton(server=program(script)), "was killed by SIGSEGV: starting; no licence found.")


def test_server_that_is_short_of_addresses(
    program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytriton.server.process.address_space_limit", lambda: 1 << 30)
    script = "#!/bin/sh\necho 'pthread_create failed' >&2\nkill -ABRT $$\n"
    words = "SIGABRT: pthread_create failed. Its address space is limited to 1073741824 bytes (RLIMIT_AS"
    start_and_fail(Triton(server=program(script)), words)


@pytest.mark.parametrize(
    "complaint",
    [
        "[warn] epoll_create: Too many open files",
        "failed to start Metrics service: Unavailable - Socket '127.0.0.1:8002' already in use",
    ],
)
def test_server_that_is_short_of_descriptors(program: Callable[..., Path], complaint: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        server = program(f'#!/bin/sh\necho "{complaint}" >&2\nexit 1\n')
        words = "It may have no more than 200 files open (RLIMIT_NOFILE, ulimit -n): raise that."
        start_and_fail(Triton(config=local_config()[0], server=server), words)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_server_without_its_libraries(program: Callable[..., Path]) -> None:
    alone = program("")
    assert _native.BUNDLED_SERVER is not None
    shutil.copy(_native.BUNDLED_SERVER, alone)
    start_and_fail(Triton(server=alone), "exit code 127", "error while loading shared libraries: lib")


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("trace_config", ["nonsense"], "--trace-config"),
        ("cache_config", ["unknown,size=1"], "libtritoncache_unknown.so"),
        ("grpc_infer_response_compression_level", "extreme", "grpc-infer-response-compression-level"),
        ("model_repository", "/no/such/repository", "/no/such/repository"),
    ],
)
def test_server_that_refuses_its_arguments(option: str, value: Any, word: str) -> None:
    config, _ = quick_config(**{option: value})
    start_and_fail(Triton(config=config), "ended with exit code 1", word)


# --- the backend ------------------------------------------------------------------------------------------


def test_backend_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRITON_BACKEND_DIRECTORY", str(tmp_path))
    start_and_fail(Triton(), "The native backend is missing", "libtriton_pytriton.so")


def test_backend_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "pytriton" / "libtriton_pytriton.so"
    library.parent.mkdir()
    library.write_text("nonsense" * 100)
    monkeypatch.setenv("PYTRITON_BACKEND_DIRECTORY", str(tmp_path))
    config, _ = quick_config()
    start_and_fail(Triton(config=config), "libtriton_pytriton.so", "invalid ELF header")


# --- models -----------------------------------------------------------------------------------------------


def break_config(patch: pytest.MonkeyPatch) -> None:
    make = ModelConfigGenerator.get_config

    def get_config(self: ModelConfigGenerator) -> dict[str, Any]:
        config = make(self)
        return {**config, "max_batch_size": -5} if config["name"] == "broken" else config

    patch.setattr(ModelConfigGenerator, "get_config", get_config)


def break_binding(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pytriton.server.repository.binding_text", lambda *_, **__: "pytriton-binding 99\n")


def break_layout(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pytriton.worker.layout.layout_hash", lambda: 42)


def break_socket(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pytriton.server.workspace.Workspace.new_socket_path", lambda _: Path("/nowhere/s/1"))


def break_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pytriton.server.repository.default_worker_shared_memory_bytes", lambda _: 1 << 62)


BREAKS = pytest.mark.parametrize(
    ("break_model", "word"),
    [
        (break_config, "max_batch_size"),
        (break_binding, "pytriton-binding"),
        (break_layout, "layout"),
        (break_socket, "/nowhere/s/1"),
        (break_memory, "no room for the 4611686018427387904 bytes of shared memory"),
    ],
)


@BREAKS
def test_model_that_fails_at_the_start(
    break_model: Callable[[pytest.MonkeyPatch], None], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, address = quick_config()
    triton = Triton(config=config)
    vector_model("fine", times(2)).bind_to(triton)
    vector_model("broken", times(3)).bind_to(triton)
    with monkeypatch.context() as patch:
        break_model(patch)
        # Some things are wrong for both models; the first to say so is named.
        name = "" if break_model in (break_layout, break_memory) else '"broken"'
        start_and_fail(triton, name, word, error=PyTritonModelLoadError)
    with triton:
        assert answer(address, "fine", 1) == [2]
        assert answer(address, "broken", 1) == [3]


@BREAKS
def test_model_that_fails_while_others_serve(
    break_model: Callable[[pytest.MonkeyPatch], None], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(vector_model("fine", times(2))) as server:
        with monkeypatch.context() as patch:
            break_model(patch)
            with failing(PyTritonModelLoadError, '"broken"', word):
                vector_model("broken", times(3)).bind_to(server.triton)
        assert answer(server, "fine", 1) == [2]
        assert_no_trace(server, "broken")
        vector_model("broken", times(3)).bind_to(server.triton)
        assert answer(server, "broken", 1) == [3]
        assert answer(server, "fine", 1) == [2]


def assert_no_trace(server: Server, name: str) -> None:
    assert server.triton.is_alive()
    assert server.get("/v2/health/ready").status == 200
    ready = server.post("/v2/repository/index", {"ready": True}).json
    assert name not in [entry["name"] for entry in ready]
    store = server.triton._workspace.model_store_path
    assert not (store / name).exists()
    assert not any(thread.name.startswith(f"pytriton-{name}") for thread in threading.enumerate())


def test_bind_of_nonsense_changes_nothing() -> None:
    with running(vector_model("m", times(2))) as server:
        with failing(PyTritonValidationError, "infer_func"):
            vector_model("new", 3).bind_to(server.triton)
        with failing(PyTritonValidationError, "a/b"):
            vector_model("a/b", echo).bind_to(server.triton)
        assert_no_trace(server, "new")
        vector_model("new", times(3)).bind_to(server.triton)
        assert [answer(server, name, 1) for name in ("m", "new")] == [[2], [3]]
