# SPDX-License-Identifier: Apache-2.0
"""Models that lie in the model store before the server starts, and Vertex AI, which wants it so."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pytriton.exceptions import PyTritonModelLoadError, PyTritonServerError
from pytriton.server.process import ServerProcess
from pytriton.triton import Triton, TritonConfig, TritonLifecyclePolicy
from tests.helpers.server import LOCAL, OPEN, Address, free_ports, local_config
from tests.helpers.vectors import TIMEOUT_S, answer, document, outputs, times
from tests.helpers.vectors import vector_model as model

STORE = TritonLifecyclePolicy(launch_triton_on_startup=False, local_model_store=True)


def made(policy: TritonLifecyclePolicy = STORE) -> tuple[Triton, Address]:
    config, address = local_config(metrics_interval_ms=50)
    return Triton(config=config, triton_lifecycle_policy=policy, security_config=OPEN), address


def stored(triton: Triton) -> list[str]:
    store = triton._workspace.path / "model-store"
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def test_bind_writes_and_the_server_loads() -> None:
    triton, address = made()
    with triton:
        model("a", times(2)).bind_to(triton)
        model("a", times(3), version=2).bind_to(triton)
        model("b", times(4)).bind_to(triton)
        model("c", times(5)).bind_to(triton)
        triton.unbind("c")
        assert not triton.is_alive()
        assert stored(triton) == [
            "a/1/binding",
            "a/2/binding",
            "a/config.pbtxt",
            "b/1/binding",
            "b/config.pbtxt",
        ]
        triton.run()
        assert triton.is_connected()
        assert triton.is_alive()
        assert [answer(address, name, 1) for name in ("a", "b")] == [[3], [4]]
        model("c", times(6)).bind_to(triton)
        model("b", times(7)).bind_to(triton, replace=True)
        triton.unbind("a", 2)
        assert [answer(address, name, 1) for name in ("a", "b", "c")] == [[2], [7], [6]]
        assert address.get("/v2/models/pytriton_bootstrap").status != 200
    assert not triton._workspace.exists()


def test_run_again() -> None:
    triton, address = made()
    model("a", times(2)).bind_to(triton)
    for factor in (3, 4):
        triton.run()
        assert answer(address, "a", 1) == [2]
        triton.stop()
        model(f"b{factor}", times(factor)).bind_to(triton)
        assert f"b{factor}/config.pbtxt" in stored(triton)
    triton.run()
    assert [answer(address, name, 1) for name in ("a", "b3", "b4")] == [[2], [3], [4]]
    triton.stop()


def test_launched_on_entering() -> None:
    triton, address = made(TritonLifecyclePolicy(launch_triton_on_startup=True, local_model_store=True))
    model("a", times(2)).bind_to(triton)
    with triton:
        assert answer(address, "a", 1) == [2]


def test_model_that_the_server_cannot_load() -> None:
    triton, address = made()
    model("a", times(2)).bind_to(triton)
    (triton._workspace.path / "model-store" / "bad").mkdir()
    with pytest.raises(PyTritonServerError, match="bad"):
        triton.run()
    assert not triton.is_alive()
    assert not triton.stop()
    triton.run()
    assert answer(address, "a", 1) == [2]
    triton.stop()


def test_worker_that_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: object) -> None:
        spawned.wait(TIMEOUT_S)
        raise RuntimeError("the worker cannot begin")

    def spawn(process: ServerProcess) -> None:
        really_spawn(process)
        spawned.set()

    spawned = threading.Event()
    really_spawn = ServerProcess._spawn
    monkeypatch.setattr(ServerProcess, "_spawn", spawn)

    triton, _ = made()
    monkeypatch.setattr("pytriton.worker.connector.Connector.open", fail)
    model("a", times(2)).bind_to(triton)
    begin = time.monotonic()
    with pytest.raises(PyTritonModelLoadError, match="cannot begin"):
        triton.run()
    assert time.monotonic() - begin < 10.0  # and not as long as a server waits for workers
    assert not triton.stop()


@pytest.mark.parametrize("default_model", ["m", None])
def test_vertex_ai(monkeypatch: pytest.MonkeyPatch, default_model: str | None) -> None:
    (port, metrics_port) = free_ports(2)
    for name, value in {
        "AIP_MODE": "PREDICTION",
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": "/health",
        "AIP_PREDICT_ROUTE": "/predict",
    }.items():
        monkeypatch.setenv(name, value)
    config = TritonConfig(
        allow_vertex_ai=True,
        vertex_ai_default_model=default_model,
        metrics_address=LOCAL,
        metrics_port=metrics_port,
        metrics_interval_ms=50,
    )
    address = Address(port, port, metrics_port)
    with Triton(config=config) as triton:
        model("m", times(2)).bind_to(triton)
        assert not triton.is_alive()
        assert "m/config.pbtxt" in stored(triton)
        triton.run()
        assert address.get("/health").status == 200
        assert outputs(address.post("/predict", document(1))) == [2]
        model("n", times(3)).bind_to(triton)
        assert outputs(address.post("/predict", document(1))) == [2]
        assert triton.is_alive()


def test_files_are_private() -> None:
    triton, _ = made()
    model("a", times(2)).bind_to(triton)
    store: Path = triton._workspace.path / "model-store"
    assert store.stat().st_mode & 0o777 == 0o700
    triton.stop()
